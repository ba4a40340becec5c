"""Room 7, streams and files (rules io-*).

What every stream of bytes can do, copying between two of them, and a connection in
memory; sockets are in `sumida.net`.
"""

from sumida.io.bufreader import BufReader
from sumida.io.bufstream import BufStream
from sumida.io.bufwriter import BufWriter
from sumida.io.chunks import Chunks, read_chunks
from sumida.io.copying import CopyCounts, copy, copy_bidirectional
from sumida.io.directories import Entries, Entry, read_dir, walk
from sumida.io.duplex import DuplexStream, duplex
from sumida.io.files import File
from sumida.io.lines import LineBatches, Lines
from sumida.io.opening import open  # noqa: A004  # as the built-in, for what does the same
from sumida.io.paths import (
    copy_file,
    create_dir,
    create_dir_all,
    exists,
    metadata,
    remove_dir,
    remove_dir_all,
    remove_file,
    rename,
)
from sumida.io.pipe import (
    PipeReceiver,
    PipeSender,
    open_receiver,
    open_sender,
    pipe,
)
from sumida.io.sending import sendfile
from sumida.io.standard import StandardInput, StandardOutput, stderr, stdin, stdout
from sumida.io.stream import ReadHalf, Stream, WriteHalf
from sumida.io.temporary import temporary_file, temporary_folder
from sumida.io.watching import Watch, watch
from sumida.io.whole import read, read_text, write, write_atomic

__all__ = (
    "BufReader",
    "BufStream",
    "BufWriter",
    "Chunks",
    "CopyCounts",
    "DuplexStream",
    "Entries",
    "Entry",
    "File",
    "LineBatches",
    "Lines",
    "PipeReceiver",
    "PipeSender",
    "ReadHalf",
    "StandardInput",
    "StandardOutput",
    "Stream",
    "Watch",
    "WriteHalf",
    "copy",
    "copy_bidirectional",
    "copy_file",
    "create_dir",
    "create_dir_all",
    "duplex",
    "exists",
    "metadata",
    "open",
    "open_receiver",
    "open_sender",
    "pipe",
    "read",
    "read_chunks",
    "read_dir",
    "read_text",
    "remove_dir",
    "remove_dir_all",
    "remove_file",
    "rename",
    "sendfile",
    "stderr",
    "stdin",
    "stdout",
    "temporary_file",
    "temporary_folder",
    "walk",
    "watch",
    "write",
    "write_atomic",
)
