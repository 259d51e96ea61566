//! Requests that were begun and not finished: what a resume does, and what it must not.

use std::fs;
use std::os::unix::fs::symlink;

use incdec::clip::Split;
use incdec::erase::{Archives, EraseConfig, EraseError, Ledger, apply, plan, verify};

use super::cases::ids;
use super::world::{World, tar_of};

#[test]
fn what_a_resume_cannot_search_keeps_the_request_open() {
    let world = World::new();
    let config = world.config(ids(&[&world.clip(Split::Test).id]));
    apply(&config).unwrap();
    world.unfinish();
    let broken = world.path("runs/broken.parquet");
    fs::write(&broken, "no table").unwrap();
    let error = apply(&config).unwrap_err();
    assert!(matches!(error, EraseError::Unsearched { .. }), "{error}");
    let ledger = Ledger::read(&world.path("")).unwrap();
    assert!(ledger.unfinished().is_some());
    fs::remove_file(broken).unwrap();
    apply(&config).unwrap();
    assert!(verify(&world.places()).unwrap().is_clean());
}

/// What a link leads to goes first; killed then, the link stays.
#[test]
fn a_link_whose_target_is_gone_goes_too() {
    let world = World::new();
    let clip = world.clip(Split::Test);
    let config = world.config(ids(&[&clip.id]));
    apply(&config).unwrap();
    let file = world.raw_file(clip);
    let links = [file, world.path("raw/holiday.mp4")];
    for (link, target) in links.iter().zip(["gone.mp4", &format!("{}.mp4", clip.id)]) {
        let target = world.path("../elsewhere").join(target);
        for is_resumed in [true, false] {
            symlink(&target, link).unwrap();
            let planned = plan(&config.places, &config.selectors).unwrap();
            assert!(planned.unsearched.is_empty(), "{planned}");
            assert!(planned.to_string().contains("a link that leads nowhere"));
            assert!(!verify(&world.places()).unwrap().left.is_empty());
            if is_resumed {
                world.unfinish();
            }
            apply(&config).unwrap();
            assert!(link.symlink_metadata().is_err());
            let verdict = verify(&world.places()).unwrap();
            assert!(verdict.is_clean(), "{verdict}");
        }
    }
    // A link that has nothing of a clip is no clip's, and nobody knows what it led to.
    symlink(world.path("../elsewhere/x.mp4"), world.path("raw/y.mp4")).unwrap();
    assert_eq!(verify(&world.places()).unwrap().unsearched.len(), 1);
}

#[test]
fn archives_go_on_a_resume_only_where_the_request_says_so() {
    let world = World::new();
    let clip = &world.clip(Split::Train).id;
    let archive = world.path("archives/a.tar");
    let member = format!("x/{clip}.mp4");
    fs::create_dir_all(world.path("archives")).unwrap();
    let refusing = world.config(ids(&[clip]));
    apply(&refusing).unwrap();
    // It turns up after the request was begun.
    world.unfinish();
    tar_of(&archive, &member, b"video");
    let done = apply(&refusing).unwrap();
    assert!(archive.exists());
    assert!(done.by_hand[0].contains("archives/a.tar"), "{done}");
    assert!(!verify(&world.places()).unwrap().is_clean());
    let deleting = EraseConfig {
        archives: Archives::Delete,
        ..refusing.clone()
    };
    apply(&deleting).unwrap();
    assert!(!archive.exists());
    // Begun so, it is finished so: the hint of a request that stands in the way does not repeat the
    // flag.
    world.unfinish();
    tar_of(&archive, &member, b"video");
    let done = apply(&refusing).unwrap();
    assert!(!archive.exists() && done.by_hand.is_empty(), "{done}");
    assert!(verify(&world.places()).unwrap().is_clean());
}
