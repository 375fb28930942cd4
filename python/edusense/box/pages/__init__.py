"""The box's pages: a kiosk for each terminal, who is in the building, the canteen's day and month.

Nothing of them comes from anywhere but the box itself. Needs the extra `pages`.
"""
