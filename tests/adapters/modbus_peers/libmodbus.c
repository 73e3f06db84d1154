/* libmodbus, as modbus_makes.py: `libmodbus PORT FILE`, with the same file and the same lines on standard input. It serves one client
   after the other and, as libmodbus does over TCP, answers for every unit. */
#include <errno.h>
#include <modbus.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static modbus_mapping_t *map;
static int fails[65536];

static void put(const char *line) {
  char table[16];
  int unit, address, value;
  if (sscanf(line, "%d %15s %d %d", &unit, table, &address, &value) != 4) exit(2);
  if (!strcmp(table, "holding")) map->tab_registers[address] = value;
  if (!strcmp(table, "input")) map->tab_input_registers[address] = value;
  if (!strcmp(table, "coil")) map->tab_bits[address] = value;
  if (!strcmp(table, "discrete")) map->tab_input_bits[address] = value;
  if (!strcmp(table, "fails")) fails[address] = value;
}

static void *changes(void *nothing) {
  char line[80];
  while (fgets(line, sizeof line, stdin)) {
    put(line);
    puts("done");
    fflush(stdout);
  }
  exit(0);
}

/* The exception of a read of holding registers, 0 for none. */
static int refusal(const unsigned char *asked) {
  int from = asked[8] << 8 | asked[9], count = asked[10] << 8 | asked[11];
  for (int at = from; asked[7] == 3 && at < from + count && at < 65536; at++)
    if (fails[at]) return fails[at];
  return 0;
}

int main(int count, char **words) {
  char line[80];
  unsigned char asked[MODBUS_MAX_ADU_LENGTH];
  pthread_t thread;
  map = modbus_mapping_new(2000, 2000, 1200, 1200);
  FILE *file = fopen(words[2], "r");
  while (file && fgets(line, sizeof line, file)) put(line);
  modbus_t *server = modbus_new_tcp("127.0.0.1", atoi(words[1]));
  int listening = modbus_tcp_listen(server, 1);
  if (count < 3 || listening < 0) {
    perror("listen");
    return 1;
  }
  puts("up");
  fflush(stdout);
  pthread_create(&thread, NULL, changes, NULL);
  for (;;) {
    if (modbus_tcp_accept(server, &listening) < 0) continue;
    for (int size; (size = modbus_receive(server, asked)) >= 0;) {
      int code = size ? refusal(asked) : 0;
      if (code) modbus_reply_exception(server, asked, code);
      else if (size) modbus_reply(server, asked, size, map);
    }
    modbus_close(server);
  }
}
