/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* replay_main.c - run files, or all files of folders, through a fuzz target without libFuzzer */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (f == NULL) {
		perror(path);
		return 1;
	}
	enum {
		LEN_MAX = 1 << 20
	};
	uint8_t *all = malloc(LEN_MAX);
	if (all == NULL) {
		fclose(f);
		return 1;
	}
	size_t len = fread(all, 1, LEN_MAX, f);
	fclose(f);
	/* Exactly as long as the input, so that ASan sees one byte too many. */
	uint8_t *exact = realloc(all, len > 0 ? len : 1);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	return 0;
}

static int replay(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0) {
		perror(path);
		return 1;
	}
	if (!S_ISDIR(st.st_mode))
		return replay_file(path);

	DIR *dir = opendir(path);
	if (dir == NULL) {
		perror(path);
		return 1;
	}
	int failed = 0;
	int n = 0;
	for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
		if (e->d_name[0] == '.')
			continue;
		char file[4096];
		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		failed |= replay_file(file);
		n++;
	}
	closedir(dir);
	if (n == 0) {
		fprintf(stderr, "%s: no inputs\n", path);
		return 1;
	}
	printf("%s: %d inputs\n", path, n);
	return failed;
}

int main(int argc, char **argv)
{
	int failed = argc < 2;
	for (int i = 1; i < argc; i++)
		failed |= replay(argv[i]);
	return failed;
}
