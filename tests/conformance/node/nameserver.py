"""Stands in for CoreDNS in the suite's manifests: every question is answered, with nothing. Runs alone in a pod."""

import socket
import struct

_HEADER = 12
_NO_ERROR = 0x8580


def main() -> None:
    """Until the process is ended."""
    ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ours.bind(("0.0.0.0", 53))
    while True:
        asked, asker = ours.recvfrom(4096)
        end = _HEADER
        while end < len(asked) and asked[end]:
            end += asked[end] + 1
        if len(asked) > _HEADER:
            header = asked[:2] + struct.pack("!HHHHH", _NO_ERROR, 1, 0, 0, 0)
            ours.sendto(header + asked[_HEADER : end + 5], asker)


main()
