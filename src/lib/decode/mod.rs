//! The decode stage: from clips to frame shards.
