//! What the loop asks between two steps: go on, keep a checkpoint, or end.

use std::io;
use std::time::{Duration, Instant};

use super::world::{World, WorldError};
use crate::signals::{Signal, Signals};

/// A moment at which a run can be stopped and nothing is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    /// Inputs are read, nothing is trained yet.
    Starting,
    /// Before a batch of clips that the model unlearns or keeps beside them.
    Unlearning,
    /// Behind a step of the optimizer.
    Training,
    /// Behind a batch of a validation or test set.
    Evaluation,
    /// Behind an epoch: it is judged and recorded.
    EpochEnd,
    /// Behind a batch that the approach looks at when a task is over (Fisher information).
    Closing,
    /// All of a task is known, nothing of it published.
    Publishing,
    /// A task is published.
    BetweenTasks,
}

impl Moment {
    /// Whether a task is under way that can be kept.
    fn has_task(self) -> bool {
        !matches!(self, Self::Starting | Self::Unlearning | Self::BetweenTasks)
    }
}

/// What to do at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Go on.
    GoOn,
    /// Write a checkpoint and go on.
    Checkpoint,
    /// Write a checkpoint and end, as this signal asks.
    Stop(Signal),
}

impl Order {
    /// What all ranks do: end, if one of them is to; else what the first is to.
    ///
    /// # Errors
    /// When a rank is lost.
    pub fn agreed(self, world: &World) -> Result<Self, WorldError> {
        let orders = world.numbers(self.code())?;
        let orders = || orders.iter().map(|&code| Self::of_code(code));
        let stop = orders().find(|order| matches!(order, Self::Stop(_)));
        Ok(stop.or_else(|| orders().next()).unwrap_or(self))
    }

    fn code(self) -> i64 {
        match self {
            Self::GoOn => 0,
            Self::Checkpoint => 1,
            Self::Stop(Signal::Interrupt) => 2,
            Self::Stop(Signal::Terminate) => 3,
            Self::Stop(Signal::User1) => 4,
        }
    }

    fn of_code(code: i64) -> Self {
        match code {
            0 => Self::GoOn,
            1 => Self::Checkpoint,
            2 => Self::Stop(Signal::Interrupt),
            3 => Self::Stop(Signal::Terminate),
            _ => Self::Stop(Signal::User1),
        }
    }
}

/// Whoever decides when a run keeps a checkpoint and when it ends.
pub trait Watch {
    /// Called when inputs are read and work begins. Before, a signal ends the process as it always
    /// does.
    ///
    /// # Errors
    /// When the system refuses.
    fn begin(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// What to do at this moment.
    fn look(&mut self, moment: Moment) -> Order;
}

/// Checkpoints by the clock and at every end of an epoch; stops for signals where it catches them.
#[derive(Debug)]
pub struct Watchman {
    /// Time between two checkpoints; none: never inside a task.
    every: Option<Duration>,
    last: Instant,
    catches: bool,
    signals: Option<Signals>,
}

impl Watchman {
    /// Checkpoints every so many seconds; 0: never inside a task. Signals are left alone.
    #[must_use]
    pub fn new(every_seconds: u64) -> Self {
        Self {
            every: (every_seconds > 0).then(|| Duration::from_secs(every_seconds)),
            last: Instant::now(),
            catches: false,
            signals: None,
        }
    }

    /// The same, for a process that ends in order when SIGINT, SIGTERM or SIGUSR1 comes.
    #[must_use]
    pub fn of_process(every_seconds: u64) -> Self {
        Self {
            catches: true,
            ..Self::new(every_seconds)
        }
    }
}

impl Watch for Watchman {
    fn begin(&mut self) -> io::Result<()> {
        if self.catches {
            self.signals = Some(Signals::catch()?);
        }
        self.last = Instant::now();
        Ok(())
    }

    fn look(&mut self, moment: Moment) -> Order {
        if let Some(signal) = self.signals.as_ref().and_then(Signals::caught) {
            return Order::Stop(signal);
        }
        let Some(every) = self.every.filter(|_| moment.has_task()) else {
            return Order::GoOn;
        };
        if moment == Moment::EpochEnd || self.last.elapsed() >= every {
            self.last = Instant::now();
            return Order::Checkpoint;
        }
        Order::GoOn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_goes_to_the_other_ranks_and_comes_back() {
        let signals = [Signal::Interrupt, Signal::Terminate, Signal::User1];
        let stops = signals.map(Order::Stop);
        for order in stops.into_iter().chain([Order::GoOn, Order::Checkpoint]) {
            assert_eq!(Order::of_code(order.code()), order);
            assert_eq!(order.agreed(&World::Alone).unwrap(), order);
        }
    }

    #[test]
    fn the_end_of_an_epoch_is_kept_unless_nothing_is() {
        let mut watch = Watchman::new(1_000_000);
        assert_eq!(watch.look(Moment::Training), Order::GoOn);
        assert_eq!(watch.look(Moment::EpochEnd), Order::Checkpoint);
        watch.every = Some(Duration::ZERO);
        assert_eq!(watch.look(Moment::Evaluation), Order::Checkpoint);
        assert_eq!(watch.look(Moment::Unlearning), Order::GoOn);
        assert_eq!(Watchman::new(0).look(Moment::EpochEnd), Order::GoOn);
    }
}
