"""States to class scores, solved in closed form."""
