"""Drivers of edusense: Python packages that talk to devices, entered by the entry points `edusense.drivers`."""
