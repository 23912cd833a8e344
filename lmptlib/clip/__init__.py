"""The frozen towers: opening a CLIP, what it computes, and features of images and captions, computed once and kept.

The one room that touches open_clip's insides."""
