"""How many scans a JPEG has: each costs its decoder a pass over all pixels."""

from __future__ import annotations

import re

# A marker as a decoder looks for it: no stuffed zero, no restart, none of the lone TEM.
_MARKER = re.compile(rb"\xff+([^\x00\x01\xd0-\xd7\xff])")
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA


def has_more_scans(data: bytes, most: int) -> bool:
    """True where more than `most` scans stand before the picture's end.

    What lies behind the end is not looked at: phones append films, whose bytes may be anything.
    """
    at, scans = 0, 0
    while found := _MARKER.search(data, at):
        kind = found[1][0]
        scans += kind == _SCAN
        if kind == _END or scans > most:
            break
        at = found.end()
        if kind != _START:
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
    return scans > most
