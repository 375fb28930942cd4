"""What `edusense bench` and `benches/` share: cases that measure, and figures that can be compared.

A case is a function whose arguments all have defaults and which returns figures: `edusense bench NAME` prints them,
`benches/` keeps them. Each claim of speed stands beside a peer that was measured in the same run on the same input.
"""

from edusense.bench.figure import Figure

__all__ = ["Figure"]
