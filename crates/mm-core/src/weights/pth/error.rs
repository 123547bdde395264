//! What can be wrong with a PyTorch checkpoint.

/// What was wrong with a PyTorch checkpoint, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum PthError {
    /// The file could not be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),

    /// The file ends too early.
    #[error("the file ends within {what}: it is damaged or was not fetched whole; fetch it again")]
    Truncated {
        /// What was being read.
        what: String,
    },

    /// The zip archive around the checkpoint cannot be read.
    #[error("its zip archive cannot be read: {problem}; fetch the file again")]
    Archive {
        /// What is wrong with it.
        problem: String,
    },

    /// A zip archive that `torch.save` did not write.
    #[error("this is a zip archive without one `data.pkl` in a folder, so no checkpoint of `torch.save`; unpack it first if one is in it")]
    NoPickle,

    /// A program of TorchScript, which keeps its weights in another way.
    #[error(
        "this is a TorchScript program; save its weights in Python:\n    import torch; from safetensors.torch import save_file\n    \
        save_file({{k: v.contiguous() for k, v in torch.jit.load(\"FILE\", map_location=\"cpu\").state_dict().items()}}, \"model.safetensors\")"
    )]
    TorchScript,

    /// A pickle that `torch.save` did not write.
    #[error(
        "this is a pickle, but not one that `torch.save` wrote; load it in Python as its maker says, and save its arrays as safetensors"
    )]
    NotPyTorch,

    /// Numbers whose first byte is the most significant one.
    #[error("it was saved on a big-endian machine; load it there or in Python, and save it as safetensors")]
    BigEndian,

    /// A protocol of pickles that is not known.
    #[error("its pickle has protocol {found}; 2 to 5 are read; save it again in Python with `torch.save`")]
    Protocol {
        /// The protocol.
        found: u8,
    },

    /// An instruction of pickles that `torch.save` never writes.
    #[error("its pickle has the instruction {code:#04x} at byte {at}, which `torch.save` does not write: damaged, or made by hand")]
    Instruction {
        /// The instruction.
        code: u8,
        /// Where it stands in the pickle.
        at: u64,
    },

    /// A pickle that contradicts itself.
    #[error("its pickle is damaged at byte {at}: {problem}; fetch the file again")]
    Pickle {
        /// Where, in the pickle.
        at: u64,
        /// What is wrong there.
        problem: String,
    },

    /// A class or function that is not on the closed list of what a checkpoint needs.
    #[error(
        "it asks for `{name}`, and nothing but tensors and plain data is read, because a pickle can run any program; if you trust where the \
        file is from, save its weights in Python:\n    import torch; from safetensors.torch import save_file\n    save_file({{k: \
        v.contiguous() for k, v in torch.load(\"FILE\", map_location=\"cpu\", weights_only=False).items()}}, \"model.safetensors\")\nwith \
        `[\"state_dict\"]` before `.items()` if the weights are that entry, and `.state_dict()` if the file is a whole model"
    )]
    Global {
        /// Module and name of it.
        name: String,
    },

    /// Tensors of numbers, or of a layout, that are not read.
    #[error(
        "there are {what} in it (`{name}`), which are not read; save them in Python as plain numbers:\n    import torch; from safetensors.torch \
        import save_file\n    save_file({{k: ({plain}).contiguous() for k, v in torch.load(\"FILE\", map_location=\"cpu\").items()}}, \
        \"model.safetensors\")\nwith `[\"state_dict\"]` before `.items()` if the weights are that entry"
    )]
    Numbers {
        /// What PyTorch calls the function or class that makes them.
        name: String,
        /// What they are.
        what: &'static str,
        /// The Python that makes plain ones of `v`.
        plain: &'static str,
    },

    /// A tensor whose numbers are still to be conjugated or negated.
    #[error("a tensor in it is a conjugate or negative view; call `.resolve_conj()` or `.resolve_neg()` on it in Python before saving")]
    Unresolved,

    /// The numbers behind a tensor are missing, or not as many as the pickle says.
    #[error("the numbers `{key}`: {problem}; fetch the file again")]
    Storage {
        /// Key of the storage.
        key: String,
        /// What is wrong with it.
        problem: String,
    },

    /// A tensor that cannot be, or reaches beyond its numbers.
    #[error("tensor `{name}`: {problem}; fetch the file again")]
    Tensor {
        /// Name of the tensor.
        name: String,
        /// What is wrong with it.
        problem: String,
    },

    /// More memory would be needed than a checkpoint of this size ever does.
    #[error("what it describes takes more than {limit} bytes of memory, which no checkpoint of its size needs: damaged, or made to harm")]
    TooLarge {
        /// The most that is allowed for a file of this size.
        limit: u64,
    },

    /// Entries within entries, without an end.
    #[error("`{name}` is more than {limit} entries deep: damaged, or made to harm")]
    TooDeep {
        /// Name of the entry, shortened.
        name: String,
        /// How deep entries may lie.
        limit: usize,
    },

    /// Several entries look like weights.
    #[error("several entries hold weights: {}; say which one to read (`entry`), or `.` for all together", list(.candidates))]
    Entries {
        /// Their names.
        candidates: Vec<String>,
    },

    /// The entry that was asked for is not there.
    #[error("there is no entry `{entry}`; there: {}", list(.there))]
    NoEntry {
        /// What was asked for.
        entry: String,
        /// Names of the entries that are there.
        there: Vec<String>,
    },

    /// No tensor at all.
    #[error("there is no tensor in it; there: {}", list(.there))]
    NoTensors {
        /// What is there.
        there: Vec<String>,
    },

    /// Two tensors of one name.
    #[error("two tensors are called `{name}`; fetch the file again, or read another entry")]
    Duplicate {
        /// The name.
        name: String,
    },
}

/// Result with [`PthError`].
pub(super) type Result<T> = std::result::Result<T, PthError>;

/// Characters of a name that a message shows.
const LONGEST_NAME: usize = 100;

/// A name that a file gave, fit for a message: control characters visible, and not too long.
pub(super) fn shown(name: &str) -> String {
    let short: String = name.chars().take(LONGEST_NAME).flat_map(char::escape_debug).collect();
    if name.chars().nth(LONGEST_NAME).is_some() { format!("{short}...") } else { short }
}

/// The first names, and how many more.
fn list(names: &[String]) -> String {
    let first: Vec<String> = names.iter().take(10).map(|name| format!("`{name}`")).collect();
    match names.len() {
        0 => "nothing".into(),
        n if n > first.len() => format!("{} and {} more", first.join(", "), n - first.len()),
        _ => first.join(", "),
    }
}

/// Makes an error of reading `what` one that says so where the file ended.
pub(super) fn reading(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> PthError {
    move |error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => PthError::Truncated { what: what.into() },
        _ => PthError::Io(error),
    }
}
