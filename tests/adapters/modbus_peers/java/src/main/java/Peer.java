// Modbus TCP servers in Java, as modbus_makes.py: `Peer MAKE PORT FILE`, with the same file and the same lines on standard input.

import com.digitalpetri.modbus.exceptions.ModbusResponseException;
import com.digitalpetri.modbus.exceptions.UnknownUnitIdException;
import com.digitalpetri.modbus.pdu.*;
import com.digitalpetri.modbus.server.ModbusRequestContext;
import com.digitalpetri.modbus.server.ModbusServices;
import com.digitalpetri.modbus.server.ModbusTcpServer;
import com.digitalpetri.modbus.tcp.server.NettyTcpServerTransport;
import com.ghgande.j2mod.modbus.procimg.*;
import com.ghgande.j2mod.modbus.slave.ModbusSlave;
import com.ghgande.j2mod.modbus.slave.ModbusSlaveFactory;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;

public class Peer {
  static final Map<String, Map<Integer, Integer>> CELLS = new ConcurrentHashMap<>();
  static final Set<Integer> UNITS = new TreeSet<>();

  static Map<Integer, Integer> of(int unit, String table) {
    return CELLS.computeIfAbsent(unit + " " + table, key -> new ConcurrentHashMap<>());
  }

  static void put(String line) {
    String[] words = line.trim().split(" ");
    int unit = Integer.parseInt(words[0]);
    UNITS.add(unit);
    of(unit, words[1]).put(Integer.parseInt(words[2]), Integer.parseInt(words[3]));
  }

  public static void main(String[] words) throws Exception {
    for (String line : Files.readAllLines(Path.of(words[2]))) put(line);
    int port = Integer.parseInt(words[1]);
    if (words[0].equals("j2mod")) j2mod(port);
    else digitalpetri(port);
    System.out.println("up");
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String line; (line = lines.readLine()) != null; ) {
      put(line);
      System.out.println("done");
    }
    System.exit(0);
  }

  static void digitalpetri(int port) throws Exception {
    NettyTcpServerTransport transport = NettyTcpServerTransport.create(config -> {
      config.bindAddress = "127.0.0.1";
      config.port = port;
    });
    ModbusTcpServer.create(transport, new Services()).start();
  }

  static class Services implements ModbusServices {
    static Map<Integer, Integer> table(int unit, String table) throws UnknownUnitIdException {
      if (!UNITS.contains(unit)) throw new UnknownUnitIdException(unit);
      return of(unit, table);
    }

    static void check(int function, Map<Integer, Integer> table, int from, int count) throws ModbusResponseException {
      for (int at = from; at < from + count; at++)
        if (!table.containsKey(at)) throw new ModbusResponseException(function, 2);
    }

    static byte[] bits(int function, int unit, String name, int from, int count) throws ModbusResponseException, UnknownUnitIdException {
      Map<Integer, Integer> table = table(unit, name);
      check(function, table, from, count);
      byte[] out = new byte[(count + 7) / 8];
      for (int i = 0; i < count; i++) out[i / 8] |= (byte) (table.get(from + i) << i % 8);
      return out;
    }

    static byte[] registers(int function, int unit, String name, int from, int count) throws ModbusResponseException, UnknownUnitIdException {
      Map<Integer, Integer> table = table(unit, name);
      for (int at = from; function == 3 && at < from + count; at++)
        if (of(unit, "fails").containsKey(at)) throw new ModbusResponseException(function, of(unit, "fails").get(at));
      check(function, table, from, count);
      byte[] out = new byte[2 * count];
      for (int i = 0; i < count; i++) {
        out[2 * i] = (byte) (table.get(from + i) >> 8);
        out[2 * i + 1] = (byte) (int) table.get(from + i);
      }
      return out;
    }

    public ReadCoilsResponse readCoils(ModbusRequestContext context, int unit, ReadCoilsRequest asked) throws ModbusResponseException, UnknownUnitIdException {
      return new ReadCoilsResponse(bits(1, unit, "coil", asked.address(), asked.quantity()));
    }

    public ReadDiscreteInputsResponse readDiscreteInputs(ModbusRequestContext context, int unit, ReadDiscreteInputsRequest asked) throws ModbusResponseException, UnknownUnitIdException {
      return new ReadDiscreteInputsResponse(bits(2, unit, "discrete", asked.address(), asked.quantity()));
    }

    public ReadHoldingRegistersResponse readHoldingRegisters(ModbusRequestContext context, int unit, ReadHoldingRegistersRequest asked) throws ModbusResponseException, UnknownUnitIdException {
      return new ReadHoldingRegistersResponse(registers(3, unit, "holding", asked.address(), asked.quantity()));
    }

    public ReadInputRegistersResponse readInputRegisters(ModbusRequestContext context, int unit, ReadInputRegistersRequest asked) throws ModbusResponseException, UnknownUnitIdException {
      return new ReadInputRegistersResponse(registers(4, unit, "input", asked.address(), asked.quantity()));
    }
  }

  static void j2mod(int port) throws Exception {
    ModbusSlave slave = ModbusSlaveFactory.createTCPSlave(InetAddress.getLoopbackAddress(), port, 5, false);
    for (int unit : UNITS) slave.addProcessImage(unit, new Image(unit));
    slave.open();
  }

  /** What is not there is an address that it does not have; it has no other exception to give. */
  static class Image extends SimpleProcessImage {
    private final int unit;

    Image(int unit) {
      super(unit);
      this.unit = unit;
    }

    private int value(String table, int at) {
      Integer value = of(unit, table).get(at);
      if (value == null) throw new IllegalAddressException();
      return value;
    }

    @Override
    public DigitalOut[] getDigitalOutRange(int from, int count) {
      DigitalOut[] out = new DigitalOut[count];
      for (int i = 0; i < count; i++) out[i] = new SimpleDigitalOut(value("coil", from + i) != 0);
      return out;
    }

    @Override
    public DigitalIn[] getDigitalInRange(int from, int count) {
      DigitalIn[] out = new DigitalIn[count];
      for (int i = 0; i < count; i++) out[i] = new SimpleDigitalIn(value("discrete", from + i) != 0);
      return out;
    }

    @Override
    public Register[] getRegisterRange(int from, int count) {
      Register[] out = new Register[count];
      for (int i = 0; i < count; i++) out[i] = new SimpleRegister(value("holding", from + i));
      return out;
    }

    @Override
    public InputRegister[] getInputRegisterRange(int from, int count) {
      InputRegister[] out = new InputRegister[count];
      for (int i = 0; i < count; i++) out[i] = new SimpleInputRegister(value("input", from + i));
      return out;
    }
  }
}
