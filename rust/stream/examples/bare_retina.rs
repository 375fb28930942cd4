//! The least that receiving costs: retina's sessions, depacketised to access units that are thrown away. The ingest bench runs
//! it beside the engine.
//!
//! Reads one camera a line from standard input, `URL USER PASSWORD`, separated by tabs; prints the number of access units received
//! so far once a second, until its standard input is closed.

#![allow(clippy::print_stdout, reason = "a program that prints")]

use std::io::BufRead as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use retina::client::{Credentials, PlayOptions, Session, SessionOptions, SetupOptions};
use retina::codec::{CodecItem, FrameFormat};

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn receive(
    url: String,
    user: String,
    password: String,
    count: Arc<AtomicU64>,
) -> Result<(), Failure> {
    let options = SessionOptions::default().creds(Some(Credentials {
        username: user,
        password,
    }));
    let mut session = Session::describe(url.parse()?, options).await?;
    session
        .setup(0, SetupOptions::default().frame_format(FrameFormat::SIMPLE))
        .await?;
    let mut session = session.play(PlayOptions::default()).await?.demuxed()?;
    while let Some(item) = session.next().await {
        if let CodecItem::VideoFrame(frame) = item? {
            count.fetch_add(u64::from(!frame.data().is_empty()), Ordering::Relaxed);
        }
    }
    Ok(())
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let count = Arc::new(AtomicU64::new(0));
    for line in std::io::stdin()
        .lock()
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
    {
        let [url, user, password] = line.split('\t').collect::<Vec<_>>()[..] else {
            continue;
        };
        let receiving = receive(
            url.to_owned(),
            user.to_owned(),
            password.to_owned(),
            count.clone(),
        );
        runtime.spawn(async move {
            if let Err(error) = receiving.await {
                println!("lost: {error}");
            }
        });
        std::thread::sleep(Duration::from_millis(50)); // the pace of the engine
    }
    std::thread::spawn(move || {
        std::io::stdin().lock().lines().for_each(drop);
        std::process::exit(0);
    });
    loop {
        std::thread::sleep(Duration::from_secs(1));
        println!("{}", count.load(Ordering::Relaxed));
    }
}
