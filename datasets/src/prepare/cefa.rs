//! CASIA-SURF CeFA: faces of three ethnicities by camera, depth and infrared, live or an attack.

use super::error::Result;
use super::output::Output;
use super::{Error, Reader, Request, faces};

pub(super) const READER: Reader = Reader {
    name: "cefa",
    about: "faces of three ethnicities by camera, depth and infrared, live or an attack (CASIA-SURF CeFA)",
    licence: "for research, under an agreement with its makers",
    how: "Sign the agreement at github.com/liuajian/CASIA-FAS-Dataset and unpack what its makers send. Its lists, such as CASIA_CeFA@p4.1_image_train.txt, \
          CASIA_CeFA@p4.1_image_dev.txt and CASIA_CeFA@p4.1_video_test.txt, lie in the folder or in its folder `protocol`",
    prepare,
};

/// Protocols with a split of people: ethnicity (1), kind of attack (2), both (4). Protocol 3 takes sensors away, which is what every method here is
/// tested by anyway.
const PROTOCOLS: [&str; 8] = ["1.1", "1.3", "1.5", "2.1", "2.2", "4.1", "4.3", "4.5"];

fn prepare(request: &Request, output: &mut Output) -> Result<()> {
    let mut written = 0;
    for protocol in PROTOCOLS {
        let Some(lists) = faces::protocol(request.root, &format!("CASIA_CeFA@p{protocol}"), READER.how)? else { continue };
        let (mut rows, mut absent) = (Vec::new(), 0);
        for (part, list) in lists {
            absent += faces::add(&mut rows, &list, part, request.root, output, READER.how)?;
        }
        if absent > 0 {
            output.remark(format!("protocol {protocol}: {absent} pictures are not there: their sensors count as absent"));
        }
        let card = include_str!("cards/cefa.toml").replace("PROTOCOL", protocol);
        output.card(&format!("cefa-{protocol}.toml"), &card)?;
        output.table(&format!("samples-{protocol}.csv"), &faces::HEADER, &rows)?;
        written += 1;
    }
    match written {
        0 => {
            let path = request.root.join("protocol/CASIA_CeFA@p4.1_image_train.txt");
            Err(Error::Missing { path, what: "the lists of at least one protocol".into(), how: READER.how.into() })
        }
        _ => Ok(()),
    }
}
