//! Who is obeyed, and whose images are deployed: what messages of commits may order, and whose; signatures of images.

mod cosign_cases;
mod images;
mod messages;
mod shown;
mod signers;
pub mod update;
