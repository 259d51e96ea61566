//! The settings that are one of a few named values, with the seed's spellings as aliases.

use crate::choice::choice;
pub use crate::model::CriterionName;

choice! {
    /// How the model is updated from task to task.
    pub enum ApproachName: "approach" {
        /// Train on, with nothing against forgetting.
        Finetune = "finetune" (seed "incdec"),
        /// Learning without Forgetting: distil the logits of the model before the task.
        Lwf = "lwf" (seed "incdec_lwf"),
        /// Feature distillation: stay close to the features of the model before the task.
        Fd = "fd" (seed "incdec_fd"),
        /// Elastic Weight Consolidation: stay close to the old weights where the Fisher information
        /// is large.
        Ewc = "ewc" (seed "incdec_ewc"),
        /// Experience replay: batches of new clips and as many of a buffer of earlier ones.
        Er = "er",
        /// Dark experience replay: besides, logits of the buffer's clips are held to those stored.
        DerPlusPlus = "der++",
        /// A buffer balanced over classes, and new weights for each task, trained on it alone.
        Gdumb = "gdumb",
        /// Ridge regression on cached features: what leaves is subtracted, exactly.
        Ridge = "ridge",
        /// The same behind a random projection (RanPAC).
        Ranpac = "ranpac",
        /// Heads on cached features in shards and slices: a withdrawal trains again what came
        /// after.
        Sisa = "sisa",
        /// A head on cached features, trained on by gradient from task to task.
        HeadFinetune = "head-finetune",
    }
}

impl ApproachName {
    /// Whether earlier clips are replayed from a buffer.
    #[must_use]
    pub fn has_buffer(self) -> bool {
        matches!(self, Self::Er | Self::DerPlusPlus | Self::Gdumb)
    }

    /// Whether the model is a head on cached features instead of a network on frames.
    #[must_use]
    pub fn is_on_features(self) -> bool {
        matches!(
            self,
            Self::Ridge | Self::Ranpac | Self::Sisa | Self::HeadFinetune
        )
    }
}

/// Whether messages, and so the log, name withdrawn clips; else they are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogIds {
    /// They are counted.
    #[default]
    No,
    /// The first of them is named.
    Yes,
}

impl LogIds {
    /// The clip's id, where messages may name it.
    pub(in crate::train) fn named(self, clip_id: &str) -> Option<String> {
        (self == Self::Yes).then(|| clip_id.to_owned())
    }
}

choice! {
    /// What becomes of a run that saw clips which have been withdrawn since.
    #[derive(Default)]
    pub enum OnTainted: "way with a run that saw withdrawn clips" {
        /// It is not gone on with.
        #[default]
        Refuse = "refuse",
        /// It is gone on with, and that is said.
        Warn = "warn",
        /// A new run takes over the tasks before the first that saw one, and goes on without them.
        Rollback = "rollback",
    }
}

choice! {
    /// In which order, and how often, an epoch draws the task's clips.
    pub enum SamplerName: "sampler" {
        /// Every clip once, in random order.
        Balanced = "balanced",
        /// As many draws with replacement, each clip weighted by 1 / its class's count.
        Imbalanced = "imbalanced",
    }
}

choice! {
    /// How the learning rates change within a task.
    pub enum SchedulerName: "scheduler" {
        /// They do not.
        Fixed = "fixed" (seed "fixd"),
        /// x 0.1 after 20 and after 40 epochs.
        MultiStep = "multi-step" (seed "multi_step"),
        /// x 0.1 when the watched figure has not improved for more than `patience` epochs.
        ReduceOnPlateau = "reduce-on-plateau" (seed "reduce_plateau"),
    }
}

choice! {
    /// The figure of the validation set that reduce-on-plateau watches.
    pub enum PlateauCheck: "plateau check" {
        /// Mean average precision; more is better.
        Map = "map",
        /// Classification loss; less is better.
        Loss = "loss" (seed "class_loss"),
    }
}

choice! {
    /// The update rule.
    pub enum OptimizerName: "optimizer" {
        /// Adam with the weight decay added to the gradient, as the seed.
        Adam = "adam",
        /// Adam with decoupled weight decay.
        AdamW = "adamw",
    }
}

choice! {
    /// How the Fisher information of EWC is estimated.
    pub enum FisherEstimate: "Fisher estimate" {
        /// Squared gradient of each batch's mean loss, times the batch size, as the seed.
        Batch = "batch",
        /// Mean of each clip's squared gradient: the textbook's empirical Fisher, slower by a
        /// batch's size.
        PerSample = "per-sample",
    }
}

choice! {
    /// How feature distillation measures the distance of two feature batches.
    pub enum FeatureDistance: "feature distance" {
        /// Euclidean norm of the whole batch's difference, as the seed.
        L2 = "l2",
        /// Mean squared difference.
        Mse = "mse",
        /// Mean over clips of 1 - cosine similarity.
        Cosine = "cosine",
    }
}

choice! {
    /// How a model is made to forget what leaves.
    #[derive(Default)]
    pub enum UnlearnName: "unlearning method" {
        /// Nothing: what leaves is only no longer trained on.
        #[default]
        None = "none",
        /// New weights, and the recipe of task 0: nothing of what was trained before is left.
        Retrain = "retrain",
        /// Go back to before what leaves was first seen, and train the tasks since then again without it.
        Rollback = "rollback",
        /// Train on what stays.
        Finetune = "finetune",
        /// Climb the loss of what leaves until it is that of held-out clips like it.
        GradientAscent = "gradient-ascent",
        /// Descend the loss of what stays and climb that of what leaves, in one step.
        NegGradPlus = "neggrad-plus",
        /// Move away from the old model on what leaves and stay with it on what stays.
        Scrub = "scrub",
        /// The same, then go back to the epoch whose error on what leaves is that of held-out clips like it.
        ScrubR = "scrub-r",
        /// Train on everything, with wrong labels for what leaves.
        RandomLabel = "random-label",
        /// The same on the weights alone that matter to what leaves.
        SalUn = "salun",
        /// Train on what stays with a penalty on the sum of magnitudes.
        L1Sparse = "l1-sparse",
        /// Learn what leaves from a new network and what stays from the old model.
        BadTeacher = "bad-teacher",
        /// Dampen the weights that matter more to what leaves than to all.
        Ssd = "ssd",
        /// The same without labels.
        Lfssd = "lfssd",
        /// Draw anew the weights whose gradients are least in conflict, then train on what stays.
        Msg = "msg",
        /// Transpose the kernels, then train on what stays.
        Ct = "ct",
    }
}

impl UnlearnName {
    /// Whether the method reads the clips that it makes the model forget.
    #[must_use]
    pub fn reads_what_leaves(self) -> bool {
        !matches!(
            self,
            Self::None
                | Self::Retrain
                | Self::Rollback
                | Self::Finetune
                | Self::L1Sparse
                | Self::Ct
        )
    }
}
