"""The capstone, and the reader of folders of pictures."""
