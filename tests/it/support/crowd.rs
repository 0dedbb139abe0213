//! An agent that follows many images.

use super::agent::Agent;
use super::git::Origin;
use super::process::wait_until;
use super::scripted::Scripted;
use super::shelf::Shelf;

/// An agent after its first cycle, with its images. Each image `org/app-NUMBER` has one field in `apps/HUNDREDS.yaml`.
pub struct Crowd {
    _folder: tempfile::TempDir,
    _registry: Scripted,
    pub host: String,
    pub agent: Agent,
}

impl Crowd {
    /// Follows this many images. The registry has no matching tag for the first `unknown` of them, and `shared` is in a
    /// thousand fields more.
    pub fn start(images: usize, unknown: usize, shared: usize) -> Crowd {
        let folder = tempfile::tempdir().expect("a folder");
        let tags = |image: usize| vec![(if image < unknown { "latest" } else { "abcdef1" }.to_owned(), 0)];
        let (_, registry) = Shelf::serve((0..images).map(tags).collect());
        let host = registry.host();
        // Documents of a few files, since each file costs git two processes.
        let documents = |images: &[usize]| -> String {
            images.iter().map(|image| format!("image: {host}/org/app-{image}:abcdef1\n---\n")).collect()
        };
        let numbers: Vec<usize> = (0..images).collect();
        let mut files: Vec<(String, String)> = numbers
            .chunks(100)
            .enumerate()
            .map(|(file, images)| (format!("apps/{file}00.yaml"), documents(images)))
            .collect();
        files.push(("shared.yaml".to_owned(), documents(&[shared; 1000])));
        // Each missing file causes a note.
        let gone: String = (0..300).map(|file| format!("- gone-{file}.yaml\n")).collect();
        files.push(("kustomization.yaml".to_owned(), format!("resources:\n{gone}")));
        let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (file.as_str(), text.as_str())).collect();
        let origin = Origin::create(&folder.path().join("infra.git"), &files);
        let config = folder.path().join("tagalong.yaml");
        let text = format!(
            "git: {{ url: {} }}\nregistries: [{{ host: '{host}', plainHttp: true, requestsPerSecond: 100000 }}]\n\
             policies: [{{ images: ['{host}/org/*'], tags: {{ sha: {{ order: built }} }} }}]\n\
             agent: {{ interval: 1h, listen: \"127.0.0.1:0\" }}\n",
            origin.path.display()
        );
        std::fs::write(&config, text).expect("written");
        let agent = Agent::start(folder.path(), &config);
        wait_until("the first cycle is done", || agent.get("/readyz").status == 200);
        Crowd { _folder: folder, _registry: registry, host, agent }
    }

    /// The full name of an image.
    pub fn name(&self, image: usize) -> String {
        format!("{}/org/app-{image}", self.host)
    }
}
