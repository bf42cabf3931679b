import com.pixelmed.validate.DicomSRValidator;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.reflect.Field;
import javax.xml.transform.Source;
import javax.xml.transform.Transformer;
import javax.xml.transform.TransformerException;
import javax.xml.transform.URIResolver;

/** PixelMed's validator of SR templates for one report after another: what it says, then a line END. */
public final class ReportValidator {
    private ReportValidator() {}

    /** Reads the paths of reports from standard input, one a line. */
    public static void main(String[] arguments) throws ReflectiveOperationException, IOException, TransformerException {
        DicomSRValidator validator = new DicomSRValidator();
        nameDocuments(validator);
        BufferedReader paths = new BufferedReader(new InputStreamReader(System.in));
        for (String path = paths.readLine(); path != null; path = paths.readLine()) {
            System.out.printf("%s%nEND%n", said(validator, path));
            System.out.flush();
        }
    }

    /** Java knows a document again by its name alone; without one it parses all context groups for every code. */
    private static void nameDocuments(DicomSRValidator validator) throws ReflectiveOperationException {
        Field field = DicomSRValidator.class.getDeclaredField("transformerPass1");
        field.setAccessible(true);
        Transformer transformer = (Transformer) field.get(validator);
        URIResolver resolver = transformer.getURIResolver();
        transformer.setURIResolver((name, base) -> {
            Source document = resolver.resolve(name, base);
            document.setSystemId(name);
            return document;
        });
    }

    private static String said(DicomSRValidator validator, String path) {
        try {
            return validator.validate(path);
        } catch (Exception exception) {
            return "Error: " + exception;
        }
    }
}
