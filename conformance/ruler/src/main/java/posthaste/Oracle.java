package posthaste;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.nio.charset.StandardCharsets;
import software.amazon.event.ruler.JsonRuleCompiler;
import software.amazon.event.ruler.Machine;
import software.amazon.event.ruler.RuleCompiler;

/**
 * Says what event-ruler thinks. Reads lines, a letter and a text: "P" a pattern, "E" an event for that pattern. Answers each
 * with a line: a pattern with "accepted" or "refused" and event-ruler's reasons, an event with "1", "0" or an exception, and
 * "disagree" if event-ruler's newer way of matching gives another result than its classic one. Line feeds, carriage returns, tabs and backslashes are escaped both ways.
 */
public final class Oracle {
    public static void main(String[] arguments) throws Exception {
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8), 1 << 16);
        var out = new BufferedWriter(new OutputStreamWriter(System.out, StandardCharsets.UTF_8), 1 << 16);
        Machine classic = null;
        Machine structured = null;
        for (String line; (line = in.readLine()) != null; ) {
            var text = unescape(line.substring(1));
            String answer;
            if (line.charAt(0) == 'P') {
                classic = Machine.builder().withStructuredMatching(false).build();
                structured = Machine.builder().withStructuredMatching(true).build();
                try {
                    classic.addRule("rule", text);
                    structured.addRule("rule", text);
                    answer = "accepted";
                } catch (Throwable refusal) {
                    // With and without "$or" as a word of the grammar.
                    answer = "refused\t" + escape(check(JsonRuleCompiler.check(text))) + "\t"
                            + escape(check(RuleCompiler.check(text))) + "\t" + escape(refusal.toString());
                }
            } else {
                try {
                    boolean finds = !classic.rulesForJSONEvent(text).isEmpty();
                    boolean agrees = structured.rulesForJSONEvent(text).isEmpty() != finds;
                    answer = (finds ? "1" : "0") + (agrees ? "" : "\tdisagree");
                } catch (Throwable failure) {
                    answer = escape(failure.toString());
                }
            }
            out.write(answer);
            out.write('\n');
            if (!in.ready()) {
                out.flush();
            }
        }
        out.flush();
    }

    private static String check(String reason) {
        return reason == null ? "" : reason;
    }

    private static String escape(String text) {
        return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t");
    }

    private static String unescape(String text) {
        if (text.indexOf('\\') < 0) {
            return text;
        }
        var plain = new StringBuilder(text.length());
        for (int at = 0; at < text.length(); at++) {
            char next = text.charAt(at);
            if (next == '\\') {
                next = text.charAt(++at);
                next = next == 'n' ? '\n' : next == 'r' ? '\r' : next == 't' ? '\t' : next;
            }
            plain.append(next);
        }
        return plain.toString();
    }
}
