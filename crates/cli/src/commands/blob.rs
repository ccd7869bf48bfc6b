//! `transship blob get|put`: the raw bytes of a blob, out and in.

use std::fs::File;
use std::io::{Read, Seek as _, Write as _};
use std::path::Path;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use transship_registry::{BlobSource, BoxError};
use transship_spec::{Descriptor, Hasher, MediaType};

use super::manifest::Put;
use crate::args::{self, BlobCommand, Reading};
use crate::content::{Content, Sink};
use crate::context::Context;
use crate::exit::{Cannot as _, Failure};
use crate::files::Staged;
use crate::local::{self, Target};
use crate::output::unwritten;
use crate::show;

const PIECE: usize = 256 << 10;

pub(crate) fn run(command: &BlobCommand, context: &Context) -> Result<(), Failure> {
    match command {
        BlobCommand::Get(args) => get(args, context).cannot(format!("get {}", show::plain(&args.location))),
        BlobCommand::Put(args) => put(args, context).cannot(format!(
            "put {} to {}",
            args.file.display(),
            show::plain(&args.location)
        )),
    }
}

fn get(args: &args::BlobGet, context: &Context) -> Result<(), Failure> {
    let (_, content) = Content::at(&args.location, context, &args.fetch.reading, &args.fetch.network)?;
    let blob = content.blob_named()?;
    let _grace = context.interrupts.grace();
    match &args.output {
        None => {
            let mut stdout = std::io::stdout().lock();
            content.blob(&blob, |piece| {
                context.interrupts.check()?;
                stdout.write_all(piece).map_err(|error| unwritten(&error))
            })?;
            stdout.flush().map_err(|error| unwritten(&error))
        }
        Some(path) => {
            let mut file = Staged::new(path)?;
            content.blob(&blob, |piece| {
                context.interrupts.check()?;
                file.write(piece)
            })?;
            file.finish()
        }
    }
}

fn put(args: &args::BlobPut, context: &Context) -> Result<(), Failure> {
    let mut input = open(&args.file)?;
    let (place, sink) = Sink::at(&args.location, context, &args.store.network)?;
    let descriptor = match &sink {
        Sink::Layout { reference: Some(_), .. } => return Err(nameless(&place.to_string())),
        Sink::Registry { reference, .. } if reference.tag().is_some() => {
            return Err(nameless(&place.to_string()));
        }
        Sink::Layout { path, reference: None } => {
            let options = local::options(&Reading::default(), &args.store.writing);
            let target = Target::open(path, &options, context)?;
            let descriptor = put_into_layout(&mut input, &target, &args.file)?;
            target.finish()?;
            descriptor
        }
        Sink::Registry { network, repository, reference } => {
            let (file, descriptor) = seekable(input, &args.file)?;
            if let Some(promised) = reference.digest().filter(|promised| **promised != descriptor.digest) {
                let actual = descriptor.digest.clone();
                return Err(
                    transship_spec::Error::DigestMismatch { expected: promised.clone(), actual }.into()
                );
            }
            let held = network.block_on(repository.blob_head(&descriptor.digest))?.is_some();
            if held {
                context.progress.note(&format!("{} was there already", descriptor.digest));
            } else {
                network.block_on(repository.blob_put(&descriptor, &FileSource(file), None))?;
            }
            descriptor
        }
    };
    if !context.output.is_json() {
        return context.output.line(&descriptor.digest);
    }
    let Descriptor { media_type, digest, size, .. } = descriptor;
    context
        .output
        .json("transship.put/v1", &Put { location: place.location().to_string(), digest, media_type, size })
}

fn nameless(place: &str) -> Failure {
    Failure::usage(format!("a blob has no name, and {place} has one")).hint("leave the name out")
}

fn open(path: &Path) -> Result<Box<dyn Read + Send>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin()));
    }
    let failed = |error: std::io::Error| Failure::io(path.display(), &error);
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(Failure::usage(format!("{} is a folder", path.display())));
    }
    Ok(Box::new(file))
}

fn put_into_layout(
    input: &mut dyn Read,
    layout: &transship_layout::Layout,
    path: &Path,
) -> Result<Descriptor, Failure> {
    let session = layout.begin()?;
    let mut writer = session.writer(None)?;
    let mut piece = vec![0; PIECE];
    loop {
        match input.read(&mut piece).map_err(|error| Failure::io(path.display(), &error))? {
            0 => break,
            length => writer.push(&piece[..length])?,
        }
    }
    let written = writer.commit()?;
    session.commit(|_| Ok(()))?;
    Ok(Descriptor::new(MediaType::OCTET_STREAM, written.digest, written.size))
}

/// The input as a file that can be read twice, and what it is. Standard input is kept in a temporary file.
fn seekable(mut input: Box<dyn Read + Send>, path: &Path) -> Result<(File, Descriptor), Failure> {
    let failed = |error: std::io::Error| Failure::io(path.display(), &error);
    let mut hasher = Hasher::sha256();
    let mut file = tempfile::tempfile().map_err(failed)?;
    let is_file = path != Path::new("-") && path.is_file();
    let mut piece = vec![0; PIECE];
    let mut size = 0;
    loop {
        let length = input.read(&mut piece).map_err(failed)?;
        if length == 0 {
            break;
        }
        hasher.update(&piece[..length]);
        size += length as u64;
        if !is_file {
            file.write_all(&piece[..length]).map_err(failed)?;
        }
    }
    if is_file {
        file = File::open(path).map_err(failed)?;
    }
    Ok((file, Descriptor::new(MediaType::OCTET_STREAM, hasher.finish(), size)))
}

/// A file whose content the registry verifies.
struct FileSource(File);

impl BlobSource for FileSource {
    fn open(&self, offset: u64) -> BoxStream<'static, Result<Bytes, BoxError>> {
        let begin =
            self.0.try_clone().and_then(|mut file| file.seek(std::io::SeekFrom::Start(offset)).map(|_| file));
        match begin {
            Err(error) => stream::once(std::future::ready(Err(error.into()))).boxed(),
            Ok(file) => stream::try_unfold(file, |file| async move {
                let read = move || {
                    let mut piece = vec![0; PIECE];
                    let mut input = &file;
                    let length = input.read(&mut piece)?;
                    piece.truncate(length);
                    Ok::<_, std::io::Error>((piece, file))
                };
                let (piece, file) = tokio::task::spawn_blocking(read).await??;
                Ok((!piece.is_empty()).then(|| (Bytes::from(piece), file)))
            })
            .boxed(),
        }
    }
}
