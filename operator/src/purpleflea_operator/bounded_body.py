"""Read the body of a response up to a limit, after decompression. The module sends no requests."""

import aiohttp

_CHUNK = 64 * 1024


class TooLargeError(ValueError):
    """The body is larger than the limit. The connection must be closed, because the rest of the body is unread."""


async def read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the body.

    Raises:
        TooLargeError: The body has more than `limit` bytes. The connection is closed.
    """
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_chunked(_CHUNK):
        size += len(chunk)
        if size > limit:
            response.close()
            raise TooLargeError(f"the response is larger than {limit} bytes")
        chunks.append(chunk)
    return b"".join(chunks)
