"""``python -m dhenara_stream`` is the command ``dhenara-stream``."""

import sys

from dhenara_stream.cli import main

if __name__ == "__main__":
    sys.exit(main())
