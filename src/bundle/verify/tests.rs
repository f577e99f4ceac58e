use std::io::Write as _;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

/// A bundle of these entries: a type of tar, a name, and how often a byte is there.
fn bundle(entries: &[(tar::EntryType, &str, u64, u8)]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut compressed = zstd::Encoder::new(file.reopen().unwrap(), 0).unwrap();
    for (kind, name, size, byte) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_path(name).unwrap();
        header.set_size(*size);
        header.set_cksum();
        compressed.write_all(header.as_bytes()).unwrap();
        let padded = size.next_multiple_of(512);
        io::copy(&mut io::repeat(*byte).take(padded), &mut compressed).unwrap();
    }
    compressed.write_all(&[0; 1024]).unwrap();
    compressed.finish().unwrap();
    file
}

fn problems(entries: &[(tar::EntryType, &str, u64, u8)]) -> Vec<(&'static str, String)> {
    let verified = verify(bundle(entries).path()).unwrap();
    assert_eq!(verified.manifest, None);
    verified.differences.into_iter().map(|it| (it.problem, it.detail)).collect()
}

#[test]
fn a_name_is_not_read_beyond_its_limit() {
    let long = (tar::EntryType::GNULongName, "././@LongLink", 64 << 20, b'x');
    let found = problems(&[long, (tar::EntryType::Regular, "x", 0, 0)]);
    assert_eq!(found[0].0, "archive");
    assert!(found[0].1.ends_with("the name of a file has more than 4 KiB"), "{found:?}");
    // What another form of tar has for names is no file of a bundle.
    let pax = (tar::EntryType::XHeader, "x/pax", 64 << 20, b'1');
    let found = problems(&[pax]);
    assert_eq!(found[0], ("extra", "it does not belong into a bundle".to_owned()));
}

#[test]
fn a_manifest_is_not_read_beyond_its_limit() {
    let found = problems(&[(tar::EntryType::Regular, "x/manifest.json", 64 << 20, b' ')]);
    assert_eq!(found, [("manifest", "it has more than 16777216 bytes".to_owned())]);
}

#[test]
fn what_is_behind_the_end_is_found_and_zeros_are_not() {
    let whole = fs::read(bundle(&[]).path()).unwrap();
    let zeros = zstd::encode_all(&[0; 9000][..], 0).unwrap();
    let another = fs::read(bundle(&[(tar::EntryType::Regular, "x/y", 1, b'1')]).path()).unwrap();
    for (behind, expected) in [
        (&b""[..], None),
        (&zeros, None),
        (&another, Some("there is more behind its end")),
        (b"garbage", Some("it cannot be unpacked")),
        (&[0; 100], Some("it cannot be unpacked")),
    ] {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), [&whole, behind].concat()).unwrap();
        let found = verify(file.path()).unwrap().differences;
        let archive = found.iter().find(|it| it.problem == "archive");
        assert_eq!(archive.is_some(), expected.is_some(), "{found:?}");
        assert!(archive.is_none_or(|it| it.detail.starts_with(expected.unwrap())), "{found:?}");
    }
}

#[test]
fn a_manifest_that_is_there_twice_is_told() {
    let manifest = (tar::EntryType::Regular, "x/manifest.json", 1, b' ');
    let found = problems(&[manifest, manifest]);
    assert_eq!(found[0], ("extra", "it is there twice".to_owned()));
}

#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    let place = tempfile::tempdir().unwrap();
    let pipe = place.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let refused = verify(&pipe).unwrap_err().to_string();
    assert!(refused.ends_with("it is no plain file"), "{refused}");
    // A link to a bundle is as good as the bundle.
    let link = place.path().join("link");
    let bundle = bundle(&[]);
    std::os::unix::fs::symlink(bundle.path(), &link).unwrap();
    assert_eq!(verify(&link).unwrap(), verify(bundle.path()).unwrap());
}

#[test]
fn what_unpacks_without_end_is_given_up() {
    let mut endless = Limited { inner: io::repeat(0), left: 1 << 20 };
    let error = io::copy(&mut endless, &mut io::sink()).unwrap_err();
    assert_eq!(error.to_string(), "it is much larger than a bundle of its size");
}

#[test]
fn so_many_differences_are_told_and_the_rest_is_counted() {
    let entries: Vec<_> =
        (0..1_200).map(|number| (tar::EntryType::Directory, format!("x/{number}"))).collect();
    let entries: Vec<_> = entries.iter().map(|(kind, name)| (*kind, name.as_str(), 0, 0)).collect();
    let verified = verify(bundle(&entries).path()).unwrap();
    // One of them is that there is no manifest.
    assert_eq!((verified.differences.len(), verified.more), (1_000, 201));
}

#[test]
fn no_difference_is_told_at_length() {
    assert_eq!(shortened("short"), "short");
    let text = "ä".repeat(5_000);
    assert_eq!(shortened(&text).chars().count(), MAX_DETAIL + 1);
}

#[test]
fn a_long_name_within_the_limit_is_that_of_its_file() {
    let name = format!("x/{}", "n".repeat(300));
    let mut archive = tar::Builder::new(zstd::Encoder::new(Vec::new(), 0).unwrap());
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    archive.append_data(&mut header, &name, &b"1"[..]).unwrap();
    let bytes = archive.into_inner().unwrap().finish().unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let contents = Contents::unpack(file);
    assert_eq!(contents.differences, []);
    assert_eq!(contents.files.keys().collect::<Vec<_>>(), [&name[2..]]);
}
