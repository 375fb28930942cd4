"""Card readers, one module a protocol: what is on the wire apart from what carries it.

`em4100_frames`, `em4100_bare`, `em4100_binary`, `ironlogic_lines`, `pn532_frames`, `keyboard_keys` and
`ccid_messages` know bytes and no device; `rdm6300`, `ironlogic`, `pn532`, `keyboard` and `ccid` join them to pyserial,
the kernel's input events and pyusb.
"""
