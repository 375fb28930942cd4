"""The meals of a ledger as a NumPy array: how many, for how many children, at what price. Works beside the running box.

python docs/examples/meals_as_numpy.py /var/lib/edusense/ledger
"""

import argparse

import numpy as np

from edusense.meals import Ledger

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("ledger")
told = parser.parse_args()

with Ledger.open(told.ledger, read_only=True) as ledger:
    records = ledger.records()
meals = records[records["kind"] == Ledger.KIND_MEAL]
print(f"{len(meals)} meals for {len(np.unique(meals['pupil']))} pupils, {meals['price'].sum() / 100:.2f} tenge")
days, counts = np.unique(meals["day"], return_counts=True)
for day, count in zip(days, counts, strict=True):
    print(f"{day // 10000}-{day // 100 % 100:02}-{day % 100:02}: {count}")
