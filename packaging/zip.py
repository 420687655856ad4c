#!/usr/bin/env python3
"""zip.py FOLDER NAME OUT: packs FOLDER/NAME, with names in order and the time that SOURCE_DATE_EPOCH says."""

import os
import sys
import time
import zipfile

folder, name, out = sys.argv[1:]
# What a zip file can say begins in 1980.
when = time.gmtime(max(int(os.environ["SOURCE_DATE_EPOCH"]), 315532800))[:6]
paths = sorted(os.path.join(where, file) for where, _, files in os.walk(os.path.join(folder, name)) for file in files)
with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for path in paths:
        entry = zipfile.ZipInfo(os.path.relpath(path, folder), when)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = (0o755 if os.access(path, os.X_OK) else 0o644) << 16
        with open(path, "rb") as file:
            archive.writestr(entry, file.read())
