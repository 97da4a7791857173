"""What is done under guard: planned, approved, run, and recorded with its outcome."""
