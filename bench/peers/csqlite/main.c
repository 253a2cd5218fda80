/*
 * The limit: SQLite's own C, with nothing over it. It speaks the protocol of
 * package peer, and plays scripts: the statements of a piece of work in their
 * order, each with its arguments, as they were taken down from whoever is to be
 * compared. Statements are prepared once, and every column of every row is read.
 *
 * A script is a line in the file that it is started with, and its statements are
 * the lines after that, each with its arguments behind tabs:
 *
 *	script insert
 *	BEGIN IMMEDIATE
 *	INSERT INTO tasks (id, name, created_at) VALUES ($1, $2, $3)	=id	tA name	i1700000000
 *	COMMIT
 *
 * An argument is a text, an integer, a number, NULL, or what a variable holds:
 * t…, i…, f…, n, =…. Variables are the id of the task, what an update sets, and the
 * id, revision and epoch that the last row of a statement had.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "sqlite3-binding.h"

enum { MAX_ARGS = 64, MAX_STATEMENTS = 32, MAX_SCRIPTS = 32, ID_SIZE = 32 };
enum { TASKS = 1000, LOG_PAGES = 1000 };

struct argument {
	char type;
	const char *text;
	sqlite3_int64 integer;
	double real;
};

struct statement {
	const char *sql;
	struct argument args[MAX_ARGS];
	int args_count;
	sqlite3_stmt *prepared;
	int id_column, revision_column, epoch_column;
};

struct script {
	const char *name;
	struct statement statements[MAX_STATEMENTS];
	int count;
};

struct variables {
	char id[ID_SIZE], branch[ID_SIZE];
	sqlite3_int64 minutes, revision, epoch;
};

static struct script scripts[MAX_SCRIPTS];
static int scripts_count;
static sqlite3 *db, *copier;
static char db_path[4096], db_synchronous[16], failure[512];
static int inserted, updated, rows_read;

/* The log is copied by a thread of its own, which starts when it is first needed, and
 * by the writer when it has become long all the same: as Nexus does. */
static pthread_t copying;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t log_long = PTHREAD_COND_INITIALIZER;
static int log_due, log_stop, copier_started;

static int fail(const char *what) {
	snprintf(failure, sizeof failure, "%s: %s", what, db ? sqlite3_errmsg(db) : "not open");
	return -1;
}

/* ---- scripts ---- */

static void parse_argument(struct argument *a, char *word) {
	a->type = word[0];
	a->text = word + 1;
	a->integer = word[0] == 'i' ? strtoll(word + 1, NULL, 10) : 0;
	a->real = word[0] == 'f' ? strtod(word + 1, NULL) : 0;
}

static int read_scripts(const char *path) {
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t size = 0;
	ssize_t length;
	if (!file) return -1;
	while ((length = getline(&line, &size, file)) > 0) {
		if (line[length - 1] == '\n') line[length - 1] = 0;
		if (strncmp(line, "script ", 7) == 0) {
			if (scripts_count == MAX_SCRIPTS) return -1;
			scripts[scripts_count++].name = strdup(line + 7);
			continue;
		}
		struct script *script = &scripts[scripts_count - 1];
		if (scripts_count == 0 || script->count == MAX_STATEMENTS) return -1;
		struct statement *s = &script->statements[script->count++];
		char *rest = strdup(line);
		s->sql = strsep(&rest, "\t");
		while (rest) {
			if (s->args_count == MAX_ARGS) return -1;
			parse_argument(&s->args[s->args_count++], strsep(&rest, "\t"));
		}
	}
	free(line);
	fclose(file);
	return 0;
}

static struct script *find_script(const char *name) {
	for (int i = 0; i < scripts_count; i++)
		if (strcmp(scripts[i].name, name) == 0) return &scripts[i];
	return NULL;
}

static int prepare(struct statement *s) {
	if (sqlite3_prepare_v3(db, s->sql, -1, SQLITE_PREPARE_PERSISTENT, &s->prepared, NULL) != SQLITE_OK) return fail(s->sql);
	s->id_column = s->revision_column = s->epoch_column = -1;
	for (int i = 0; i < sqlite3_column_count(s->prepared); i++) {
		const char *name = sqlite3_column_name(s->prepared, i);
		if (strcmp(name, "id") == 0) s->id_column = i;
		if (strcmp(name, "revision") == 0) s->revision_column = i;
		if (strcmp(name, "epoch") == 0) s->epoch_column = i;
	}
	return 0;
}

static void bind(struct statement *s, const struct variables *v) {
	/* $2 is the second argument wherever it stands; ? are counted by SQLite. */
	for (int i = 1; i <= sqlite3_bind_parameter_count(s->prepared); i++) {
		const char *name = sqlite3_bind_parameter_name(s->prepared, i);
		const struct argument *a = &s->args[name ? atoi(name + 1) - 1 : i - 1];
		switch (a->type) {
		case 't': sqlite3_bind_text(s->prepared, i, a->text, -1, SQLITE_STATIC); break;
		case 'i': sqlite3_bind_int64(s->prepared, i, a->integer); break;
		case 'f': sqlite3_bind_double(s->prepared, i, a->real); break;
		case 'n': sqlite3_bind_null(s->prepared, i); break;
		default:
			switch (a->text[0]) {
			case 'i': sqlite3_bind_text(s->prepared, i, v->id, -1, SQLITE_STATIC); break;
			case 'b': sqlite3_bind_text(s->prepared, i, v->branch, -1, SQLITE_STATIC); break;
			case 'm': sqlite3_bind_int64(s->prepared, i, v->minutes); break;
			case 'r': sqlite3_bind_int64(s->prepared, i, v->revision); break;
			case 'e': sqlite3_bind_int64(s->prepared, i, v->epoch); break;
			}
		}
	}
}

/* A row as a program would keep it: its numbers, and copies of its texts. */
static void read_row(struct statement *s, struct variables *v) {
	static _Thread_local char texts[1 << 16];
	static _Thread_local sqlite3_int64 numbers[MAX_ARGS];
	size_t used = 0;
	int count = sqlite3_column_count(s->prepared);
	for (int i = 0; i < count; i++) {
		if (sqlite3_column_type(s->prepared, i) == SQLITE_TEXT) {
			size_t length = (size_t)sqlite3_column_bytes(s->prepared, i);
			if (used + length < sizeof texts) memcpy(texts + used, sqlite3_column_text(s->prepared, i), length);
			used += length;
		} else {
			numbers[i] = sqlite3_column_int64(s->prepared, i);
		}
	}
	if (s->id_column >= 0) snprintf(v->id, ID_SIZE, "%s", sqlite3_column_text(s->prepared, s->id_column));
	if (s->revision_column >= 0) v->revision = numbers[s->revision_column];
	if (s->epoch_column >= 0) v->epoch = numbers[s->epoch_column];
	rows_read++;
}

static int run_statement(struct statement *s, struct variables *v) {
	int code;
	if (!s->prepared && prepare(s)) return -1;
	if (s->args_count) bind(s, v);
	while ((code = sqlite3_step(s->prepared)) == SQLITE_ROW) read_row(s, v);
	sqlite3_reset(s->prepared);
	return code == SQLITE_DONE ? 0 : fail(s->sql);
}

static int run(struct script *script, struct variables *v) {
	for (int i = 0; i < script->count; i++)
		if (run_statement(&script->statements[i], v)) return -1;
	return 0;
}

/* ---- the write-ahead log ---- */

static void *copy_log(void *unused) {
	(void)unused;
	pthread_mutex_lock(&log_lock);
	while (!log_stop) {
		while (!log_due && !log_stop) pthread_cond_wait(&log_long, &log_lock);
		log_due = 0;
		pthread_mutex_unlock(&log_lock);
		sqlite3_wal_checkpoint_v2(copier, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
		struct timespec pause = {0, 50 * 1000 * 1000};
		nanosleep(&pause, NULL);
		pthread_mutex_lock(&log_lock);
	}
	pthread_mutex_unlock(&log_lock);
	return NULL;
}

static int after_commit(void *unused, sqlite3 *handle, const char *name, int pages) {
	(void)unused, (void)name;
	if (pages < LOG_PAGES) return SQLITE_OK;
	/* A log starts afresh only when all of it is copied and nobody writes. */
	if (pages >= 4 * LOG_PAGES) sqlite3_wal_checkpoint_v2(handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	if (!copier_started) {
		if (sqlite3_open_v2(db_path, &copier, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) return SQLITE_ERROR;
		copier_started = pthread_create(&copying, NULL, copy_log, NULL) == 0;
	}
	pthread_mutex_lock(&log_lock);
	log_due = 1;
	pthread_cond_signal(&log_long);
	pthread_mutex_unlock(&log_lock);
	return SQLITE_OK;
}

static void stop_copier(void) {
	if (!copier_started) return;
	pthread_mutex_lock(&log_lock);
	log_stop = 1;
	pthread_cond_signal(&log_long);
	pthread_mutex_unlock(&log_lock);
	pthread_join(copying, NULL);
	sqlite3_close(copier);
	log_stop = log_due = copier_started = 0;
}

static int open_db(void) {
	char pragmas[256];
	if (sqlite3_open_v2(db_path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) return fail("open");
	snprintf(pragmas, sizeof pragmas,
		"PRAGMA foreign_keys = ON; PRAGMA synchronous = %s; PRAGMA temp_store = MEMORY; "
		"PRAGMA journal_size_limit = 67108864", db_synchronous);
	if (sqlite3_exec(db, pragmas, NULL, NULL, NULL) != SQLITE_OK) return fail("pragmas");
	sqlite3_wal_hook(db, after_commit, NULL);
	return 0;
}

static int close_db(void) {
	if (!db) return 0;
	stop_copier();
	for (int i = 0; i < scripts_count; i++)
		for (int j = 0; j < scripts[i].count; j++) {
			sqlite3_finalize(scripts[i].statements[j].prepared);
			scripts[i].statements[j].prepared = NULL;
		}
	int code = sqlite3_close(db);
	db = NULL;
	return code == SQLITE_OK ? 0 : -1;
}

/* ---- the work ---- */

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void scattered(struct variables *v, int i) { snprintf(v->id, ID_SIZE, "t-bench-%08d", (int)((int64_t)i * 7919 % TASKS)); }

/* next_variables are those of the next insert or update. */
static struct variables next_variables(int is_insert) {
	struct variables v = {0};
	if (is_insert) {
		snprintf(v.id, ID_SIZE, "t-new-%08d", inserted++);
	} else {
		scattered(&v, updated);
		snprintf(v.branch, ID_SIZE, "task/again/%d", updated);
		v.minutes = updated++ % 600;
	}
	return v;
}

/* write_each runs a script n times. Writers at the same time take turns on this one
 * thread: they share a connection, and to hand it from thread to thread only costs. */
static int64_t write_each(struct script *script, int n, int is_insert) {
	struct variables *each = malloc(sizeof *each * (size_t)n);
	for (int i = 0; i < n; i++) each[i] = next_variables(is_insert);
	int64_t start = now();
	int failed = 0;
	for (int i = 0; i < n && !failed; i++) failed = run(script, &each[i]);
	int64_t took = now() - start;
	free(each);
	return failed ? -1 : took;
}

/* write_many runs what is between the first and the last statement n times. */
static int64_t write_many(struct script *script, int n, int is_insert) {
	struct variables *each = malloc(sizeof *each * (size_t)n);
	for (int i = 0; i < n; i++) each[i] = next_variables(is_insert);
	int64_t start = now();
	int failed = run_statement(&script->statements[0], &each[0]);
	for (int i = 0; i < n && !failed; i++)
		for (int j = 1; j < script->count - 1 && !failed; j++) failed = run_statement(&script->statements[j], &each[i]);
	failed = failed || run_statement(&script->statements[script->count - 1], &each[0]);
	int64_t took = now() - start;
	free(each);
	return failed ? -1 : took;
}

/* read_some runs a script that reads n times, and checks that it found something. */
static int64_t read_some(struct script *script, int n, int at_least) {
	struct variables *each = calloc((size_t)n, sizeof *each);
	for (int i = 0; i < n; i++) scattered(&each[i], i);
	rows_read = 0;
	int64_t start = now();
	for (int i = 0; i < n; i++)
		if (run(script, &each[i])) return -1;
	int64_t took = now() - start;
	free(each);
	if (rows_read < n * at_least) {
		snprintf(failure, sizeof failure, "%d rows instead of %d", rows_read, n * at_least);
		return -1;
	}
	return took;
}

static int64_t reopen(struct script *get, int n) {
	struct variables v = {0};
	int64_t start = now();
	for (int i = 0; i < n; i++) {
		scattered(&v, i);
		if (close_db() || open_db() || run(get, &v)) return -1;
	}
	return now() - start;
}

/* command returns how long the work took; -1 is a failure, -2 no such ability. */
static int64_t command(const char *name, int n) {
	struct script *script = find_script(strcmp(name, "reopen") == 0 ? "get" : name);
	if (!script) return -2;
	if (strcmp(name, "reopen") == 0) return reopen(script, n);
	if (strcmp(name, "insert") == 0) return write_each(script, n, 1);
	if (strcmp(name, "update") == 0) return write_each(script, n, 0);
	if (strcmp(name, "insertmany") == 0) return write_many(script, n, 1);
	if (strcmp(name, "updatemany") == 0) return write_many(script, n, 0);
	if (strcmp(name, "work") == 0) return write_each(script, n, 0);
	return read_some(script, n, strcmp(name, "list") == 0 || strcmp(name, "load") == 0 ? TASKS : 1);
}

int main(int argc, char **argv) {
	char line[8192], name[64];
	if (argc != 2 || read_scripts(argv[1])) {
		fprintf(stderr, "usage: csqlite SCRIPTS\n");
		return 1;
	}
	while (fgets(line, sizeof line, stdin)) {
		int n = 0;
		int64_t took = -2;
		if (sscanf(line, "open %4095s %15s", db_path, db_synchronous) == 2) {
			took = open_db() ? -1 : 0;
		} else if (strcmp(line, "version\n") == 0) {
			printf("ok 0 SQLite %s, C\n", sqlite3_libversion());
			fflush(stdout);
			continue;
		} else if (sscanf(line, "%63s %d", name, &n) == 2) {
			took = command(name, n);
		}
		if (took >= 0) printf("ok %" PRId64 "\n", took);
		else if (took == -2) printf("no\n");
		else printf("error %s\n", failure);
		fflush(stdout);
	}
	return close_db() ? 1 : 0;
}
