"""People who join and leave, thousands of them, and what stays behind of them."""
