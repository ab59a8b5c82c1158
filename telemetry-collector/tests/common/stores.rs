//! Both databases: every test over a store runs on each.

use sqlx::Connection;

/// An empty store of one kind.
pub struct Fresh {
    pub url: String,
    pub is_sqlite: bool,
    _dir: Option<tempfile::TempDir>,
}

/// Gives an empty store of each kind; one line says so when there is no PostgreSQL to test with.
pub async fn each() -> Vec<Fresh> {
    let dir = tempfile::tempdir().expect("a folder");
    let mut stores = vec![Fresh { url: super::sqlite(dir.path()), is_sqlite: true, _dir: Some(dir) }];
    match std::env::var("WATTLE_TEST_POSTGRES") {
        Ok(server) => stores.push(Fresh { url: database(&server).await, is_sqlite: false, _dir: None }),
        #[expect(clippy::print_stdout, reason = "a test that does not run says so")]
        Err(_) => println!("WATTLE_TEST_POSTGRES is not set: the PostgreSQL half of this test did not run"),
    }
    stores
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if self.is_sqlite {
            return;
        }
        let url = self.url.clone();
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Some((runtime, (server, name))) = runtime.ok().zip(url.rsplit_once('/')) else { return };
            runtime.block_on(async {
                let Ok(mut connection) = sqlx::PgConnection::connect(&format!("{server}/postgres")).await else {
                    return;
                };
                // Also when the test failed and left connections open.
                let statement = sqlx::AssertSqlSafe(format!("drop database if exists {name} with (force)"));
                drop(sqlx::query(statement).execute(&mut connection).await);
            });
        });
        drop(dropping.join());
    }
}

/// Creates a database of its own on a server.
async fn database(server: &str) -> String {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let name = format!("wattle_test_{}_{}_{number}", std::process::id(), super::now_ms());
    let mut connection = sqlx::PgConnection::connect(server).await.expect("the server of WATTLE_TEST_POSTGRES");
    let create = sqlx::AssertSqlSafe(format!("create database {name}"));
    sqlx::query(create).execute(&mut connection).await.expect("a database of its own");
    let (base, _) = server.rsplit_once('/').expect("postgres://HOST/DATABASE");
    format!("{base}/{name}")
}
