"""Other servers, played in the same cases as ours."""
