//! What was fetched of shards of a store goes.

use std::fs;

use incdec::clip::Split;
use incdec::erase::{Action, Place, Selector, apply, plan, verify};

use super::world::World;

#[test]
fn what_was_fetched_goes() {
    let world = World::new();
    let clip = world.clip(Split::Train).id.clone();
    // As a cache has them: in a folder of their index.
    let fetched = world.path("cache/0123456789abcdef");
    world.copy_shards("cache/0123456789abcdef");
    let files = || fs::read_dir(&fetched).map_or(0, Iterator::count);
    let before = files();
    let config = world.config(vec![Selector::Ids(vec![clip])]);

    let planned = plan(&config.places, &config.selectors).unwrap();
    let in_cache = planned.held.iter().filter(|row| row.place == Place::Cache);
    let actions: Vec<Action> = in_cache.map(|row| row.action).collect();
    // A shard, and the index that names the clip.
    assert_eq!(actions, [Action::Rebuild; 2]);

    apply(&config).unwrap();
    assert_eq!(files(), before - 2);
    let verdict = verify(&config.places).unwrap();
    assert!(verdict.is_clean(), "{verdict}");
}
