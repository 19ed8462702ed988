/* put_peer STORE SHARD NAME VALUE: makes the system calls of `kv --sync off put KEY VALUE` where the
 * shard exists and the key is present, one for one from the opening of the store to the end, and
 * nothing else: no command line, no hash, no checksum. What it leaves is no entry.
 *
 * Compare with `strace kv --sync off put KEY VALUE` when the protocol changes. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DIRECTORY (O_RDONLY | O_DIRECTORY)

static void must(int done)
{
	if (!done)
		_exit(1);
}

static int beneath(int dir, const char *path, int flags, int mode)
{
	struct open_how how = {
		.flags = flags | O_NOFOLLOW | O_CLOEXEC,
		.mode = mode,
		.resolve = RESOLVE_NO_SYMLINKS,
	};
	int fd = syscall(SYS_openat2, dir, path, &how, sizeof how);
	must(fd >= 0);
	return fd;
}

static void no_packs(int store)
{
	struct stat stat;
	must(fstatat(store, "default/packs", &stat, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT);
}

static int open_space(const char *path)
{
	char text[256];
	int store = open(path, DIRECTORY | O_CLOEXEC);
	must(store >= 0);
	int format = beneath(store, "default/format", O_RDONLY | O_NONBLOCK, 0);
	must(read(format, text, sizeof text) > 0);
	close(format);
	no_packs(store);
	return store;
}

int main(int argc, char **argv)
{
	must(argc == 5);
	char *shard_name = argv[2], *name = argv[3], *value = argv[4];
	char entry[4096], draft_name[17], lock_path[64], shard_path[64], head[126];
	unsigned long random;
	struct stat stat;

	int store = open_space(argv[1]);
	int tmp = beneath(store, "default/tmp", DIRECTORY, 0);
	must(fstat(store, &stat) == 0);
	must(getrandom(&random, sizeof random, 0) == sizeof random);
	must(getrandom(&random, sizeof random, 0) == sizeof random);
	snprintf(draft_name, sizeof draft_name, "%016lx", random);
	int draft = beneath(tmp, draft_name, O_RDWR | O_CREAT | O_EXCL, 0600);
	must(flock(draft, LOCK_EX | LOCK_NB) == 0);
	must(fchmod(draft, stat.st_mode & 0666) == 0);
	int len = snprintf(entry, sizeof entry, "%0119d\n%s\n%s", 0, name, value);
	must(write(draft, entry, len) == len);
	close(store);

	store = open_space(argv[1]);
	snprintf(lock_path, sizeof lock_path, "default/locks/%s", shard_name);
	int lock = beneath(store, lock_path, O_RDWR | O_NONBLOCK, 0);
	must(flock(lock, LOCK_EX | LOCK_NB) == 0);
	must(fstatat(store, lock_path, &stat, AT_SYMLINK_NOFOLLOW) == 0);
	must(fstat(lock, &stat) == 0);
	no_packs(store);
	snprintf(shard_path, sizeof shard_path, "default/objects/%s", shard_name);
	int shard = beneath(store, shard_path, DIRECTORY, 0);
	must(fstat(lock, &stat) == 0);
	int present = beneath(shard, name, O_RDONLY | O_NONBLOCK, 0);
	must(fstat(present, &stat) == 0);
	must(pread(present, head, sizeof head, 0) > 0);
	close(present);
	int again = beneath(store, "default/tmp", DIRECTORY, 0);
	must(renameat(again, draft_name, shard, name) == 0);
	close(again);
	close(store);
	close(lock);
	close(shard);
	close(draft);
	close(tmp);
	return 0;
}
