/* lmdb_peer load FILE < KEY TAB VALUE...: puts all lines in one transaction, which is synced.
 * lmdb_peer get FILE < KEY...: prints the value of each key and a newline, in one transaction. */
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "lmdb_peer: %s: %s\n", what, mdb_strerror(code));
		exit(2);
	}
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	int is_load = strcmp(argv[1], "load") == 0;
	unsigned flags = is_load ? 0 : MDB_RDONLY;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	check(mdb_env_create(&env), "create");
	check(mdb_env_set_mapsize(env, (size_t)16 << 30), "map");
	check(mdb_env_open(env, argv[2], MDB_NOSUBDIR | flags, 0600), "open");
	check(mdb_txn_begin(env, NULL, flags, &txn), "begin");
	check(mdb_dbi_open(txn, NULL, 0, &dbi), "open");

	char *line = NULL;
	size_t room = 0;
	for (ssize_t len; (len = getline(&line, &room, stdin)) > 0;) {
		line[--len] = '\0';
		char *tab = is_load ? strchr(line, '\t') : line + len;
		if (!tab)
			return 2;
		MDB_val key = { .mv_size = tab - line, .mv_data = line }, value;
		if (is_load) {
			value.mv_data = tab + 1;
			value.mv_size = line + len - (tab + 1);
			check(mdb_put(txn, dbi, &key, &value, 0), "put");
		} else {
			check(mdb_get(txn, dbi, &key, &value), "get");
			fwrite(value.mv_data, 1, value.mv_size, stdout);
			putchar('\n');
		}
	}
	if (is_load)
		check(mdb_txn_commit(txn), "commit");
	else
		mdb_txn_abort(txn);
	mdb_env_close(env);
	return fflush(stdout) || ferror(stdin) ? 2 : 0;
}
