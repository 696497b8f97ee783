"""A map of clustered texts: one HTML page that needs nothing else, and a picture.

    MapData -> palette   a colour for each cluster, unlike those of its neighbours
            -> encoding  arrays and texts as the short strings that the page unpacks
            -> page      template, style and scripts of page/ put into one file
            -> picture   the same as a PNG, by matplotlib

docs/maps-page.md is the page's manual; page/README.md tells how the bundled library was made.
"""

from __future__ import annotations

from nearfield_server.cli.maps.data import MapData
from nearfield_server.cli.maps.page import write_map
from nearfield_server.cli.maps.picture import write_picture

__all__ = ["MapData", "write_map", "write_picture"]
