"""Pictures that people look at: label maps, overlays, charts."""

import logging

# Where nobody has set up logging, matplotlib would tell the terminal of its cache.
logging.getLogger("matplotlib").addHandler(logging.NullHandler())
