"""Codecs: where a message ends in a stream of bytes, and how one is written.

`LinesCodec` for text, `LengthDelimitedCodec` for anything, `JsonLinesCodec` for JSON,
`AnyDelimiterCodec` and `BytesCodec` for the rest. They are pure: they never wait and
know no stream, so that each can be tested with bytes alone. `sumida.net.Framed` puts
one over a stream.
"""

from sumida.net.codec.delimited import AnyDelimiterCodec
from sumida.net.codec.json_lines import JsonLinesCodec
from sumida.net.codec.length_delimited import LengthDelimitedCodec
from sumida.net.codec.lines import LinesCodec
from sumida.net.codec.protocol import Codec, Decoder, Encoder
from sumida.net.codec.raw import BytesCodec

__all__ = (
    "AnyDelimiterCodec",
    "BytesCodec",
    "Codec",
    "Decoder",
    "Encoder",
    "JsonLinesCodec",
    "LengthDelimitedCodec",
    "LinesCodec",
)
