/* ls_peer OBJECTS: walks the shards of a namespace, opens each entry, reads its first 512 bytes. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	DIR *objects = argc == 2 ? opendir(argv[1]) : NULL;
	if (!objects)
		return 2;
	unsigned long entries = 0, bytes = 0;
	for (struct dirent *shard; (shard = readdir(objects));) {
		if (shard->d_name[0] == '.')
			continue;
		int fd = openat(dirfd(objects), shard->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		DIR *names = fd < 0 ? NULL : fdopendir(fd);
		if (!names)
			return 2;
		for (struct dirent *name; (name = readdir(names));) {
			if (name->d_name[0] == '.')
				continue;
			char head[512];
			int file = openat(fd, name->d_name, O_RDONLY | O_CLOEXEC);
			ssize_t n = file < 0 ? -1 : read(file, head, sizeof head);
			if (n < 0)
				return 2;
			bytes += n;
			entries++;
			close(file);
		}
		closedir(names);
	}
	printf("%lu entries, %lu bytes\n", entries, bytes);
	return 0;
}
