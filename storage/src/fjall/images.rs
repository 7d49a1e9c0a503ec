//! Images, each in a file of its own.
//!
//! An image is written once, front to back, read once, front to back, and removed as a whole: nothing of a database helps
//! with that; only a standby asks for pieces of it. (And fjall never forgets a keyspace: each one that was created and deleted leaves some kilobytes in tables
//! that it rewrites with the next.) A file that is not complete still has its temporary name, and one with which the journal
//! is to begin anew (`install.rs`) has one until it does.
//!
//! `images/OFFSET.image`, integers little endian: `"batonim1"`, the position, then chunks `(length u32, checksum u64 over
//! number and chunk, chunk)`, then the end: length `ff ff ff ff`, checksum (u64 over all that follows), number of chunks
//! (u64), bytes (u64).

use super::folder::{io_error, sync_folder};
use crate::{Error, IMAGE_CHUNK, Image};
use baton_protocol::checksum::Checksum;
use baton_protocol::record::Position;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"batonim1";
const END: u32 = u32::MAX;
const BUFFER: usize = 64 << 10;

/// Folder of the images in the data folder.
pub(super) const FOLDER: &str = "images";
const EXTENSION: &str = "image";
const INCOMPLETE: &str = "incomplete";
/// Of a whole image with which the journal is to begin anew.
const ASIDE: &str = "aside";

/// The file of the image at this offset.
pub(super) fn path(data: &Path, offset: u64) -> PathBuf {
    data.join(FOLDER).join(format!("{offset:020}.{EXTENSION}"))
}

/// Writes an image and makes it durable.
pub(super) fn write(data: &Path, at: Position, chunks: &mut dyn Iterator<Item = Vec<u8>>) -> Result<Image, Error> {
    write_to(&path(data, at.offset.0), data, at, chunks)
}

/// Writes an image with which the journal is to begin anew, and makes it durable. It does not count yet.
pub(super) fn write_aside(
    data: &Path,
    at: Position,
    chunks: &mut dyn Iterator<Item = Vec<u8>>,
) -> Result<Image, Error> {
    write_to(&aside(data, at.offset.0), data, at, chunks)
}

/// It counts now. Nothing is to be done if it does already.
pub(super) fn put_in_place(data: &Path, offset: u64) -> Result<(), Error> {
    let (from, to) = (aside(data, offset), path(data, offset));
    match fs::rename(&from, &to).and_then(|()| sync_folder(&data.join(FOLDER))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && to.exists() => Ok(()),
        result => result.map_err(io_error("completing", &to)),
    }
}

/// Whether the image with which the journal begins anew is intact, under this name or that.
pub(super) fn check_aside(data: &Path, at: Position) -> Result<(), String> {
    let place = Some(aside(data, at.offset.0)).filter(|place| place.exists());
    let image = check_file(&place.unwrap_or_else(|| path(data, at.offset.0)))?;
    if image.at == at { Ok(()) } else { Err("it belongs elsewhere".to_owned()) }
}

/// Removes images with which the journal does not begin anew after all.
pub(super) fn remove_aside(data: &Path) -> Result<(), Error> {
    for path in files(data)? {
        if path.extension().is_some_and(|extension| extension == ASIDE) {
            fs::remove_file(&path).map_err(io_error("removing", &path))?;
        }
    }
    Ok(())
}

fn aside(data: &Path, offset: u64) -> PathBuf {
    path(data, offset).with_extension(ASIDE)
}

fn write_to(
    complete: &Path,
    data: &Path,
    at: Position,
    chunks: &mut dyn Iterator<Item = Vec<u8>>,
) -> Result<Image, Error> {
    let folder = data.join(FOLDER);
    fs::create_dir_all(&folder).and_then(|()| sync_folder(data)).map_err(io_error("creating", &folder))?;
    let incomplete = complete.with_extension(INCOMPLETE);
    let result = File::create(&incomplete)
        .map_err(io_error("creating", &incomplete))
        .and_then(|file| fill(&mut BufWriter::with_capacity(BUFFER, file), &incomplete, at, chunks))
        .and_then(|image| {
            let renamed = fs::rename(&incomplete, complete).and_then(|()| sync_folder(&folder));
            renamed.map(|()| image).map_err(io_error("completing", complete))
        });
    if result.is_err() {
        // If even that fails, the next opening removes it.
        drop(fs::remove_file(&incomplete));
    }
    result
}

fn fill(
    file: &mut BufWriter<File>,
    path: &Path,
    at: Position,
    chunks: &mut dyn Iterator<Item = Vec<u8>>,
) -> Result<Image, Error> {
    let error = || io_error("writing", path);
    file.write_all(&MAGIC).and_then(|()| file.write_all(&at.encode())).map_err(error())?;
    let (mut count, mut bytes, mut whole) = (0_u64, 0_u64, Checksum::new(0));
    for chunk in chunks {
        if chunk.len() > IMAGE_CHUNK {
            return Err(Error::Chunk { bytes: chunk.len() });
        }
        let head = [&(chunk.len() as u32).to_le_bytes()[..], &sum(&[&count.to_le_bytes(), &chunk]).to_le_bytes()];
        file.write_all(&head.concat()).and_then(|()| file.write_all(&chunk)).map_err(error())?;
        count += 1;
        bytes += chunk.len() as u64;
        whole.update(&chunk);
    }
    let end = [count.to_le_bytes(), bytes.to_le_bytes()].concat();
    let end = [&END.to_le_bytes()[..], &sum(&[&end]).to_le_bytes(), &end].concat();
    file.write_all(&end).and_then(|()| file.flush()).and_then(|()| file.get_ref().sync_all()).map_err(error())?;
    Ok(Image { at, bytes, checksum: whole.finish() })
}

fn sum(parts: &[&[u8]]) -> u64 {
    let mut checksum = Checksum::new(0);
    parts.iter().for_each(|part| checksum.update(part));
    checksum.finish()
}

/// Removes an image.
pub(super) fn remove(data: &Path, offset: u64) -> Result<(), Error> {
    let path = path(data, offset);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("removing", &path)(error)),
        _ => Ok(()),
    }
}

/// The offsets of all complete images. Removes what was not completed.
pub(super) fn list(data: &Path) -> Result<Vec<u64>, Error> {
    let mut offsets = Vec::new();
    for path in files(data)? {
        let extension = path.extension().and_then(|extension| extension.to_str());
        if extension == Some(INCOMPLETE) {
            fs::remove_file(&path).map_err(io_error("removing", &path))?;
        } else if extension == Some(EXTENSION) {
            offsets.extend(path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok()));
        }
    }
    offsets.sort_unstable();
    Ok(offsets)
}

/// All files.
fn files(data: &Path) -> Result<Vec<PathBuf>, Error> {
    let folder = data.join(FOLDER);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error("reading the folder", &folder)(error)),
    };
    let paths: io::Result<_> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    paths.map_err(io_error("reading the folder", &folder))
}

/// Reads a whole image to see that it is intact.
pub(super) fn check(data: &Path, offset: u64) -> Result<Image, String> {
    let image = check_file(&path(data, offset))?;
    if image.at.offset.0 == offset { Ok(image) } else { Err("it belongs elsewhere".to_owned()) }
}

fn check_file(path: &Path) -> Result<Image, String> {
    let mut reader = Reader::open_file(path)?;
    let mut whole = Checksum::new(0);
    while let Some(chunk) = reader.chunk()? {
        whole.update(&chunk);
    }
    Ok(Image { at: reader.at, bytes: reader.bytes, checksum: whole.finish() })
}

/// Reads an image chunk by chunk and verifies each.
pub(super) struct Reader {
    file: BufReader<File>,
    /// To which it belongs.
    pub(super) at: Position,
    count: u64,
    bytes: u64,
}

impl Reader {
    pub(super) fn open(data: &Path, offset: u64) -> Result<Self, String> {
        Self::open_file(&path(data, offset))
    }

    fn open_file(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let mut file = BufReader::with_capacity(BUFFER, file);
        if take::<8>(&mut file)? != MAGIC {
            return Err("the file is no image that this version knows".to_owned());
        }
        let at = Position::decode(&take(&mut file)?);
        Ok(Self { file, at, count: 0, bytes: 0 })
    }

    /// So many bytes from a byte on, fewer at the end. Reads the chunks in which they are, and passes over those before.
    pub(super) fn piece(&mut self, from: u64, most: usize) -> Result<Vec<u8>, String> {
        let mut piece = Vec::new();
        while piece.len() < most {
            let before = self.bytes;
            let (length, expected) = self.head()?;
            if length != END && before + u64::from(length) <= from {
                self.file.seek_relative(i64::from(length)).map_err(|error| error.to_string())?;
                self.count += 1;
                self.bytes += u64::from(length);
                continue;
            }
            let Some(chunk) = self.content(length, expected)? else { break };
            let skipped = usize::try_from(from.saturating_sub(before)).unwrap_or(usize::MAX).min(chunk.len());
            let wanted = (most - piece.len()).min(chunk.len() - skipped);
            piece.extend_from_slice(&chunk[skipped..skipped + wanted]);
        }
        Ok(piece)
    }

    /// The next chunk; none after the last one, if the image is whole.
    pub(super) fn chunk(&mut self) -> Result<Option<Vec<u8>>, String> {
        let (length, expected) = self.head()?;
        self.content(length, expected)
    }

    /// Length and checksum of what follows.
    fn head(&mut self) -> Result<(u32, u64), String> {
        Ok((u32::from_le_bytes(take(&mut self.file)?), u64::from_le_bytes(take(&mut self.file)?)))
    }

    fn content(&mut self, length: u32, expected: u64) -> Result<Option<Vec<u8>>, String> {
        if length == END {
            let end: [u8; 16] = take(&mut self.file)?;
            let whole = [self.count.to_le_bytes(), self.bytes.to_le_bytes()].concat() == end;
            let last = self.file.read(&mut [0]).map_err(|error| error.to_string())? == 0;
            return if whole && last && sum(&[&end]) == expected {
                Ok(None)
            } else {
                Err("its end is damaged".to_owned())
            };
        }
        let damaged = || format!("chunk {} is damaged", self.count);
        if length as usize > IMAGE_CHUNK {
            return Err(damaged());
        }
        let mut chunk = vec![0; length as usize];
        self.file.read_exact(&mut chunk).map_err(|error| error.to_string())?;
        if sum(&[&self.count.to_le_bytes(), &chunk]) != expected {
            return Err(damaged());
        }
        self.count += 1;
        self.bytes += u64::from(length);
        Ok(Some(chunk))
    }
}

fn take<const N: usize>(file: &mut BufReader<File>) -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes).map_err(|error| format!("it ends early: {error}"))?;
    Ok(bytes)
}
