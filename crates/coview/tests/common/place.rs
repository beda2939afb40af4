//! A test's own corner: names and files that nobody else uses, and that must be gone at its end.

use std::path::PathBuf;

use tempfile::TempDir;

/// Names and files of one test. Its drop fails the test if anything of it is left.
pub(crate) struct Place {
    tag: String,
    directory: TempDir,
}

impl Place {
    /// `what` tells the tests of one program apart.
    pub(crate) fn new(what: &str) -> Place {
        let directory =
            tempfile::Builder::new().prefix("coview-test-").tempdir().expect("there is a temporary directory");
        Place { tag: format!("t{}-{what}-", std::process::id()), directory }
    }

    /// What all names of this place begin with.
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    /// A name that only this test uses.
    pub(crate) fn name(&self, what: &str) -> String {
        format!("{}{what}", self.tag)
    }

    /// The same in the machine's name space.
    pub(crate) fn global(&self, what: &str) -> String {
        format!(r"Global\{}", self.name(what))
    }

    /// A path in a directory of this test.
    pub(crate) fn path(&self, what: &str) -> PathBuf {
        self.directory.path().join(what)
    }

    /// A file of this test with these bytes.
    pub(crate) fn file(&self, what: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(what);
        std::fs::write(&path, bytes).expect("the temporary directory takes files");
        path
    }

    /// What the name space still has of this place. On Windows the kernel keeps that book.
    #[cfg(target_os = "linux")]
    pub(crate) fn remains(&self) -> Vec<String> {
        let files = std::fs::read_dir("/dev/shm").expect("/dev/shm can be read").flatten();
        let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with("coview.") && name.contains(&self.tag)).collect()
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn remains(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let gone = || {
            // An object whose last handle was closed while another thread of this program was between fork and
            // exec looked held: it goes with the next sweep (`docs/format.md`).
            let _ = coview::inspect::sweep(false);
            self.remains().is_empty()
        };
        if std::thread::panicking() {
            gone();
            return;
        }
        super::until(&format!("nothing is left of {}: {:?}", self.tag, self.remains()), gone);
    }
}
