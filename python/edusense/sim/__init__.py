"""Virtual devices: cameras that other people's software can play, readers, and a whole school of them.

They are devices like the others: real RTSP and ONVIF over sockets, real bytes on a pseudo-terminal. Each can be told to
misbehave. What they stage is known to them, so that finding it is a measurement.
"""
