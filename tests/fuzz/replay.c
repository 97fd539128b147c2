/*
 * tests/fuzz/replay: gives the fuzz target every file named, or found in a directory named, with any compiler.
 *
 *   fuzz_jscan tests/fuzz/corpus/jscan
 *   fuzz_jscan crash-0123456789
 *
 * Fails also when there was nothing to replay: a test over an empty corpus tests nothing.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void stop(const char *path)
{
	perror(path);
	exit(2);
}

static void replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
		stop(path);
	}
	long size = ftell(file);
	rewind(file);
	/* Exactly as large as the input, so that a sanitizer sees a read past its end. */
	uint8_t *data = size >= 0 ? malloc((size_t)size) : NULL;
	if (data == NULL || fread(data, 1, (size_t)size, file) != (size_t)size) {
		stop(path);
	}
	fclose(file);
	LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);
}

/* The number of files replayed. */
static size_t replay(const char *path)
{
	DIR *directory = opendir(path);
	if (directory == NULL) {
		replay_file(path);
		return 1;
	}
	size_t count = 0;
	const struct dirent *entry;
	while ((entry = readdir(directory)) != NULL) {
		char file[4096];
		int length = snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
		if (entry->d_name[0] != '.' && length > 0 && (size_t)length < sizeof file) {
			replay_file(file);
			count++;
		}
	}
	closedir(directory);
	return count;
}

int main(int argc, char **argv)
{
	size_t count = 0;
	for (int i = 1; i < argc; i++) {
		count += replay(argv[i]);
	}
	printf("%zu inputs\n", count);
	return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
