# A room shows what people type as they typed it. Combining marks are letters of Hindi, Thai, Tamil, Arabic, Hebrew
# and of decomposed accents.
from lab import *
texts = ["नमस्ते", "สวัสดี", "שָׁלוֹם", "مَرْحَبًا", "e\u0301te\u0301", "தமிழ்"]
wrong = changed_in_a_room(texts)
verdict(not wrong, f"{len(wrong)} of {len(texts)} changed: {wrong[:2]}", "what people type is shown as they typed it (README)")
