"""One file = one row of the table (or two that share their set-up). Each has `measure(ground) -> list[Line]`."""
