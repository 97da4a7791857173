"""The API that commands call, in parts, and the handler that serves one request with it.

Each part is a class of its own over the request's `UnitOfWork`, and no part imports another; `context.incidents` is in
`incidents.service`. A new part needs a Protocol in `core.command`, a class, and one attribute each of `CommandContext`
and `RequestContext`.
"""
