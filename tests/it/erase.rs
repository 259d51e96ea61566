//! Withdrawal that is done: what plan finds, what apply erases and leaves, what verify notices.

mod cache;
mod cases;
mod derived;
mod kill;
mod measure;
mod outside;
mod own;
mod page;
mod places;
mod remains;
mod resumed;
mod store;
mod world;
