# A room shows joiners and variation selectors as they were typed: Persian spelling and emoji need them (Unicode 9.2
# and 23.2).
from lab import *
texts = ["می\u200cخواهم", "👩\u200d👩\u200d👧", "❤\ufe0f"]
wrong = changed_in_a_room(texts)
verdict(not wrong, wrong, "unchanged")
