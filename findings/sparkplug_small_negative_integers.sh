#!/bin/sh
# Sparkplug B: a negative Int8 or Int16 of Eclipse Tahu (Java, 1.0.14) cannot be read by pysparkplug 0.6.1.
#
# Both types travel in the Protobuf field int_value, an unsigned 32-bit integer. Tahu writes -6 as 32 bits
# (4294967290), pysparkplug as the width of the type (250 for Int8, 65530 for Int16) and raises OverflowError for
# anything else; decoding the payload fails as a whole, so one cold temperature hides every other metric of that message.
# Int32 and Int64 agree. The other way round works: Tahu reads pysparkplug's -6.
#
# Needs a JDK and Maven. Seen: int_value 4294967290; OverflowError for Int8 and Int16; -6 for Int32; back: -6 -6 -6.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check pysparkplug==0.6.1
cat >"$folder/pom.xml" <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>local</groupId><artifactId>tahu</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>org.eclipse.tahu</groupId><artifactId>tahu-core</artifactId><version>1.0.14</version>
  </dependency></dependencies>
</project>
XML
(cd "$folder" && mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >/dev/null)
cat >"$folder/Tahu.java" <<'JAVA'
import java.util.Date;
import java.util.HexFormat;
import org.eclipse.tahu.message.SparkplugBPayloadDecoder;
import org.eclipse.tahu.message.SparkplugBPayloadEncoder;
import org.eclipse.tahu.message.model.Metric;
import org.eclipse.tahu.message.model.Metric.MetricBuilder;
import org.eclipse.tahu.message.model.MetricDataType;
import org.eclipse.tahu.message.model.SparkplugBPayload;

public class Tahu {
    public static void main(String[] arguments) throws Exception {
        if (arguments.length == 0) {
            SparkplugBPayload payload = new SparkplugBPayload.SparkplugBPayloadBuilder()
                .setTimestamp(new Date(1764460800000L)).setSeq(0L)
                .addMetric(new MetricBuilder("i8", MetricDataType.Int8, (byte) -6).createMetric())
                .addMetric(new MetricBuilder("i16", MetricDataType.Int16, (short) -6).createMetric())
                .addMetric(new MetricBuilder("i32", MetricDataType.Int32, -6).createMetric())
                .createPayload();
            System.out.println("payload " + HexFormat.of().formatHex(new SparkplugBPayloadEncoder().getBytes(payload, false)));
        } else {
            StringBuilder line = new StringBuilder("back");
            byte[] bytes = HexFormat.of().parseHex(arguments[0]);
            for (Metric metric : new SparkplugBPayloadDecoder().buildFromByteArray(bytes, null).getMetrics())
                line.append(' ').append(metric.getValue());
            System.out.println(line);
        }
    }
}
JAVA
cat >"$folder/show.py" <<'PY'
import sys

from pysparkplug import DataType, Metric, NData
from pysparkplug._protobuf import Payload

payload = Payload()
payload.ParseFromString(bytes.fromhex(sys.argv[1]))
for metric in payload.metrics:
    try:
        read = Metric.from_pb(metric).value
    except OverflowError as error:
        read = f"OverflowError: {error}"
    print(metric.name, metric.int_value, read)
try:
    NData.decode(bytes.fromhex(sys.argv[1]))
except OverflowError:
    print("the whole message: OverflowError")
ours = [Metric(timestamp=1, name=kind.name, datatype=kind, value=-6) for kind in (DataType.INT8, DataType.INT16, DataType.INT32)]
print("ours", NData(timestamp=1, seq=1, metrics=tuple(ours)).encode(include_dtypes=True).hex())
PY
javac -cp "$folder/lib/*" -d "$folder" "$folder/Tahu.java"
tahu() { java -cp "$folder/lib/*:$folder" Tahu "$@" 2>/dev/null | grep -E '^(payload|back)'; }
theirs=$(tahu | cut -d' ' -f2)
out=$("$folder/venv/bin/python" "$folder/show.py" "$theirs")
seen=$(echo "$out" | grep -v '^ours'; tahu "$(echo "$out" | sed -n 's/^ours //p')")
echo "$seen"
[ "$seen" = "i8 4294967290 OverflowError: Int8 overflow with value 4294967290
i16 4294967290 OverflowError: Int16 overflow with value 4294967290
i32 4294967290 -6
the whole message: OverflowError
back -6 -6 -6" ]
