/* work.c - spreads a list of work over the processes of an MPI job. A list has a line for each piece: FILE, a tab, a command of the
 * shell that makes it. Every process takes the next piece that nobody took, until none is left; a piece that is made leaves
 * FILE.done behind and is not made again, so that a job which was killed goes on where it was when it is started anew. Files lie
 * where all processes see them. Exit 0 when every piece is made.
 *
 * mpicc -O2 -o work work.c && mpirun -n 4 ./work LIST */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 1000000 };

/* The file in memory, its lines cut apart; NULL when it cannot be read. */
static char **read_list(const char *path, long *n) {
    FILE *f = fopen(path, "r");
    char **line = malloc(sizeof *line), *text = NULL;
    size_t room = 0;
    *n = 0;
    if (!f || !line) return NULL;
    while (*n < MOST && getline(&text, &room, f) >= 0) {
        text[strcspn(text, "\n")] = 0;
        if (!strchr(text, '\t')) continue;
        line = realloc(line, ((size_t)*n + 1) * sizeof *line);
        if (!line || !(line[(*n)++] = strdup(text))) return NULL;
    }
    free(text);
    fclose(f);
    return line;
}

/* Makes a piece, unless that was done; the mark appears at once or not at all. */
static int make(const char *line) {
    char *file = strdup(line), mark[4096], unfinished[4096];
    char *command = strchr(file, '\t');
    *command++ = 0;
    const int n = snprintf(mark, sizeof mark, "%s.done", file), m = snprintf(unfinished, sizeof unfinished, "%s.%ld", mark, (long)getpid());
    int ok = n > 0 && m < (int)sizeof unfinished;
    if (ok && access(mark, F_OK) != 0) {
        ok = system(command) == 0;
        FILE *f = ok ? fopen(unfinished, "w") : NULL;
        ok = f && fclose(f) == 0 && rename(unfinished, mark) == 0;
        if (!ok) fprintf(stderr, "work: failed: %s\n", command);
    }
    free(file);
    return ok;
}

int main(int argc, char **argv) {
    MPI_Init(&argc, &argv);
    int rank, size, made = 0, all_made = 0;
    long n = 0, next, one = 1, *counter;
    char **line = argc == 2 ? read_list(argv[1], &n) : NULL;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (!line) {
        fprintf(stderr, "work: cannot read the list; usage: work LIST\n");
        MPI_Abort(MPI_COMM_WORLD, 66);
    }
    /* The number of the next piece lives in the first process; taking one is a single step for all of them. */
    MPI_Win window;
    MPI_Win_allocate(rank == 0 ? (MPI_Aint)sizeof *counter : 0, sizeof *counter, MPI_INFO_NULL, MPI_COMM_WORLD, &counter, &window);
    if (rank == 0) *counter = 0;
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Win_lock_all(0, window);
    for (;;) {
        MPI_Fetch_and_op(&one, &next, MPI_LONG, 0, 0, MPI_SUM, window);
        MPI_Win_flush(0, window);
        if (next >= n) break;
        made += make(line[next]);
    }
    MPI_Win_unlock_all(window);
    MPI_Allreduce(&made, &all_made, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    if (rank == 0) printf("work: %d of %ld pieces made by %d processes\n", all_made, n, size);
    MPI_Win_free(&window);
    MPI_Finalize();
    return all_made == n ? 0 : 1;
}
