"""One resident's history in one list: measured, recorded, judged, told."""
