"""The API that commands call, in parts, and the handler that serves one request with it.

Each part is a class of its own over the request's `UnitOfWork`, and no part in here imports another; `desk.incidents`
is in `casework`. A new part is a Protocol in `ports`, a class, and one attribute of `ports.CommandContext` and
`RequestContext`.
"""
